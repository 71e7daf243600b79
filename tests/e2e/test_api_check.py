"""`GET /check` and `POST /check` of a running service say what `mailwye check` says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mailwye.cli.exit_codes import CONFIGURATION
from mailwye.runtime.clock import SystemClock
from mailwye.testing.authority import Authority
from tests.e2e.api_client import LISTENERS, Api, new_token
from tests.e2e.installed import Installed, serving

SETTINGS = """
AcceptedDomain: {DomainName: contoso.com, Default: true}
OutboundConnector:
  - {Name: Relay, ConnectorType: Partner, RecipientDomains: [fabrikam.com], UseMXRecord: false, SmartHosts: relay.fabrikam.com,
     TlsSettings: CertificateValidation, SmartHostAuthMechanism: BasicAuthRequireTLS,
     AuthenticationCredential: {UserName: u, Password: "kept to ourselves"}}
SendConnector:
  - {Name: Out, AddressSpaces: [fabrikam.example], DNSRoutingEnabled: true, Fqdn: nobody.contoso.com, TlsCertificateName: "<I>CN=x<S>CN=y"}
"""
WRONG = "AcceptedDomain: [{DomainName: a.com}, {DomainName: a.com}]\nMailbox: {PrimarySmtpAddress: nobody}\n"


def told(problems: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What both say of each; the API calls the message a reason, and a text that was sent is no file."""
    names = ("severity", "object", "field", "reason", "message", "remedy", "line")
    return [tuple(one[name] for name in names if name in one) for one in problems]


async def test_both_tell_the_same(tmp_path: Path) -> None:
    issued = Authority(tmp_path / "authority", now=SystemClock().now()).issue("mx", ["mx.contoso.com"])
    more = f'[tls]\ncertificate = "{issued.certificate}"\nprivate_key = "{issued.private_key}"\n[secrets]\nkey_file = "the.key"\n'
    installed = Installed(tmp_path, listeners=LISTENERS, more=more)
    key = tmp_path / "the.key"
    key.write_text("12" * 32 + "\n")
    key.chmod(0o600)
    await installed.run("apply", "-f", "-", stdin=SETTINGS)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(WRONG)
    async with serving(installed):
        api = Api(installed, await new_token(installed))
        assert told((await api.ask("GET", "/check")).json["problems"]) == told(await installed.json("check"))
        key.write_text("00" * 32 + "\n")
        key.chmod(0o644)
        issued.certificate.unlink()
        found = (await api.ask("GET", "/check")).json["problems"]
        assert told(found) == told(await installed.json("check"))
        words = " ".join(one["reason"] for one in found)
        for part in ("is not on this machine", "can be read by everybody", "cannot be opened"):
            assert part in words
        assert {one["file"] for one in found} == {str(installed.config), ""}
        text = (await api.ask("POST", "/check", {"text": WRONG})).json["problems"]
        command = json.loads((await installed.run("check", "-f", str(wrong), "--json", code=CONFIGURATION)).out)
        assert told(text) == told([one for one in command if one["file"] == str(wrong)])
        assert {one["severity"] for one in text} == {"error"}
        good = (await api.ask("POST", "/check", {"text": SETTINGS})).json["problems"]
        assert told(good) == told([one for one in found if not one["file"] and "cannot be opened" not in one["reason"]])
        await api.ask("POST", "/check", {"text": 1}, status=422)
        assert (await installed.json("config", "log"))[0]["version"] == 1
