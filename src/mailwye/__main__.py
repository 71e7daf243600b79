"""`mailwye` and `python -m mailwye`: the table of commands. Each is imported only when it is called, so that help appears at once."""

from __future__ import annotations

import gc

COMMANDS = {
    "serve": ("mailwye.cli.serve:serve", "Serve mail: the service itself."),
    "check": ("mailwye.cli.check:check", "Find every error in the configuration files."),
    "apply": ("mailwye.cli.apply:apply", "Save objects from a YAML file as the new settings."),
    "export": ("mailwye.cli.apply:export", "Print the organization's settings as YAML."),
    "config": ("mailwye.cli.settings.config:config", "Versions of the settings: who changed what, compare, roll back."),
    "draft": ("mailwye.cli.settings.draft:draft", "Build a change up over several saves, activate it at once."),
    "import": (
        "mailwye.cli.import_settings:import_settings",
        "Turn settings of Exchange or Postfix into a file for apply.",
    ),
    "ps": ("mailwye.cli.objects.ps:ps", "Carry out PowerShell lines for Exchange."),
    "get": ("mailwye.cli.objects.verbs:get", "Show objects of a kind."),
    "new": ("mailwye.cli.objects.verbs:new", "Make an object."),
    "set": ("mailwye.cli.objects.verbs:set_", "Change an object."),
    "remove": ("mailwye.cli.objects.verbs:remove", "Remove objects."),
    "enable": ("mailwye.cli.objects.verbs:enable", "Turn objects on."),
    "disable": ("mailwye.cli.objects.verbs:disable", "Turn objects off."),
    "replay": ("mailwye.cli.replay:replay", "Say what other settings would do to recent traffic and to the queue."),
    "explain": ("mailwye.cli.explain:explain", "Say what would happen to a message, and why."),
    "tls-report": ("mailwye.cli.tls_report:tls_report", "What connections to other domains met (TLS-RPT)."),
    "trace": ("mailwye.cli.trace:trace", "Find what happened to messages, and why."),
    "queue": ("mailwye.cli.queue:queue", "List and manage queued messages."),
    "mailbox": ("mailwye.cli.mailbox:mailbox", "Manage hosted mailboxes and their passwords."),
    "user": ("mailwye.cli.access.user:user", "Who may use the API."),
    "token": ("mailwye.cli.access.token:token", "Keys for programs that use the API."),
    "oidc": ("mailwye.cli.access.oidc:oidc", "Persons whom an OpenID provider vouches for."),
    "audit": ("mailwye.cli.access.audit:audit", "Who changed what, who read whose mail."),
    "secrets": ("mailwye.cli.secrets:secrets", "Passwords with which connectors log in, and their key."),
    "certificates": ("mailwye.cli.certificates:certificates", "List certificates and when they expire."),
    "certificate": ("mailwye.cli.certificate:certificate", "Get certificates by ACME."),
    "dns-records": ("mailwye.cli.dns_records:dns_records", "Print the DNS records that accepted domains should publish."),
    "status": ("mailwye.cli.serve:status", "Ask the running service how it is."),
    "reload": ("mailwye.cli.serve:reload", "Read certificates and settings again."),
    "completion": ("mailwye.cli.objects.completion:completion", "Let the shell complete commands and names."),
    "demo": ("mailwye.testing.demo:demo", "Let John, Bob and Sun exchange mail on loopback."),
}


OBJECTS_BETWEEN_COLLECTIONS = 50_000  # as loops.py has other numbers for the service, which outlives what it loads


def main() -> None:
    """Run the command line."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)  # loading code makes no garbage: looking for it took each command 6 to 10 ms
    from mailwye.cli.command_table import run  # after that: click is a third of what is loaded

    run(COMMANDS)


if __name__ == "__main__":
    main()
