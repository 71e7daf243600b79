"""Parameters of main.cf that change mail flow and are not read: what is said about each that is set."""

from __future__ import annotations

from mailwye.importing.collect import Collector, Place
from mailwye.importing.postfix.main_cf import MainCf

_LOOKUP = "addresses are not rewritten here but by recipients' own objects"
_FILTER = "messages are not handed to filters yet"
_REASONS: dict[str, tuple[str, str]] = {
    "alias_maps": (
        "aliases of users of the machine (aliases(5)) may run programs and write files",
        "Write DistributionGroup and MailContact objects for those that name addresses",
    ),
    "local_recipient_maps": ("users of the machine are not asked", "Write a Mailbox for each (`mailwye mailbox add`)"),
    "recipient_delimiter": (
        "addresses with an extension (user+list@domain) are addresses of their own here",
        "Add the extended addresses that are in use to EmailAddresses",
    ),
    "sender_dependent_relayhost_maps": ("ways are chosen by recipient", "Write a TransportRule with SenderDomainIs and a connector for it"),
    "sender_dependent_default_transport_maps": (
        "ways are chosen by recipient",
        "Write a TransportRule with SenderDomainIs and a connector for it",
    ),
    "fallback_relay": ("a second way after a failed one is another smart host", "Add it to SmartHosts with a higher Priority"),
    "smtp_fallback_relay": ("a second way after a failed one is another smart host", "Add it to SmartHosts with a higher Priority"),
    "smtp_tls_wrappermode": (
        "TLS from the first octet (port 465) is not spoken to smart hosts",
        "Let the connectors name the port that has STARTTLS, mostly 587",
    ),
    "smtp_sasl_password_maps": (
        "passwords are not carried over",
        "See docs/connectors.md for what a smart host may ask for, and give the next hop our address or certificate",
    ),
    "canonical_maps": (_LOOKUP, "Rewrite where the mail comes from"),
    "recipient_canonical_maps": (_LOOKUP, "Write aliases (EmailAddresses)"),
    "sender_canonical_maps": (_LOOKUP, "Rewrite where the mail comes from"),
    "smtp_generic_maps": (_LOOKUP, "Rewrite where the mail comes from"),
    "masquerade_domains": (_LOOKUP, "Rewrite where the mail comes from"),
    "relocated_maps": ("an answer with the new address does not exist here", "Write a MailContact with the new address"),
    "always_bcc": ("copies of mail are not sent", "Keep copies where the mailboxes are"),
    "recipient_bcc_maps": ("copies of mail are not sent", "Keep copies where the mailboxes are"),
    "sender_bcc_maps": ("copies of mail are not sent", "Keep copies where the mailboxes are"),
    "content_filter": (_FILTER, "Keep the filter in front, and name it in an InboundConnector with EFSkipIPs"),
    "smtpd_milters": (_FILTER, "Keep the filter in front, and name it in an InboundConnector with EFSkipIPs"),
    "non_smtpd_milters": (_FILTER, "Keep the filter in front, and name it in an InboundConnector with EFSkipIPs"),
    "header_checks": (
        "headers are looked at by mail flow rules only",
        "Write a TransportRule with HeaderContainsWords where it is about a way",
    ),
    "body_checks": ("bodies are not looked at", "Keep the filter in front"),
    "smtpd_sender_login_maps": ("who logs in may send as his own addresses", "Add them to the EmailAddresses of the Mailbox"),
    "smtpd_client_restrictions": ("restrictions by lists are not carried over", "See docs/configuration.md for what stands at the door"),
    "smtpd_helo_restrictions": ("restrictions by lists are not carried over", "See docs/configuration.md for what stands at the door"),
    "smtpd_sender_restrictions": ("restrictions by lists are not carried over", "See docs/configuration.md for what stands at the door"),
    "smtpd_tls_cert_file": ("certificates belong to the installation", "Name it as `certificate` in [tls] of mailwye.toml"),
    "smtpd_tls_key_file": ("certificates belong to the installation", "Name it as `private_key` in [tls] of mailwye.toml"),
    "smtpd_tls_chain_files": ("certificates belong to the installation", "Name them in [tls] of mailwye.toml"),
    "smtp_tls_cert_file": (
        "client certificates belong to the installation",
        "Name it in [tls.client_certificates.NAME] of mailwye.toml and in ClientCertificate of the connectors",
    ),
    "message_size_limit": ("limits belong to the installation", "Set message_size in [limits] of mailwye.toml"),
    "myhostname": ("the name belongs to the installation", "Set hostname in mailwye.toml"),
    "maximal_queue_lifetime": ("times belong to the installation", "Set expire_after in [queue] of mailwye.toml"),
    "smtp_bind_address": ("addresses belong to the installation", "Set source_address in [delivery] of mailwye.toml"),
    "inet_interfaces": ("addresses belong to the installation", "Write listeners in mailwye.toml"),
    "default_destination_concurrency_limit": ("limits belong to the installation", "Set connections_per_destination in [delivery]"),
}
_SHOWN = 12


def report(main: MainCf, collector: Collector) -> None:
    """One entry for each that changes mail flow, one for all others."""
    for name, reason in main.unresolved.items():
        if name in main.settings:
            remedy = "Give the output of `postconf -x` instead of main.cf"
            collector.left_out(name, f"of its value, {reason}", remedy, Place(main.file, main.line(name)))
    others = []
    for name, setting in main.settings.items():
        place = Place(main.file, setting.line)
        if name in _REASONS:
            if setting.value.lower() not in ("", "no"):
                collector.left_out(name, *_REASONS[name], place)
        elif name not in main.asked:
            others.append(name)
    if others:
        listed = ", ".join(others[:_SHOWN]) + (f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else "")
        reason = "are not about domains, recipients or ways, or have no counterpart"
        collector.left_out(listed, reason, "See mailwye.toml in docs/configuration.md", Place(main.file))
