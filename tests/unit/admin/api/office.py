"""The API in one process, with real stores in a folder, and a supervisor that only remembers what it was asked."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from mailwye.access.accounts import User
from mailwye.access.new_token import make_token
from mailwye.access.roles import Permission, Role
from mailwye.admin.api.application import application
from mailwye.admin.api.cursors import Cursors
from mailwye.admin.api.description import describe
from mailwye.admin.api.event_feed import EventFeed
from mailwye.admin.api.services import Looked, NotAllowedYet, Services
from mailwye.admin.api.settings.wishes import Wish
from mailwye.admin.explain import Resolved
from mailwye.admin.openid.gate import OpenIdGate
from mailwye.admin.openid.provider import Provider
from mailwye.admin.queue_operations import DeliveryRow, merged, run
from mailwye.config.installation import Installation, ListenerSettings
from mailwye.config.parse import read_organization
from mailwye.config.plan import plan_file
from mailwye.config.problem import Problem
from mailwye.connectors.selection import Route
from mailwye.queue.audit import QueueAudit
from mailwye.queue.memory import MemoryQueueEngine
from mailwye.storage.secrets.vault import FileVault
from mailwye.storage.sqlite.access.accounts import SqliteAccounts
from mailwye.storage.sqlite.access.audit import SqliteAuditLog
from mailwye.storage.sqlite.config_store import SqliteConfigStore
from mailwye.storage.sqlite.trace_reader import TraceReader
from mailwye.storage.sqlite.transport.results import SqliteResultStore
from mailwye.whatif.rows import ReplayedTraffic
from tests.openid import Issuer, claims_at, settings
from tests.unit.admin.api.declared import Declared

PASSWORD = "correct horse battery"
AUTHOR = "tests"
BEGINNING = """
AcceptedDomain: [{DomainName: contoso.com, Default: true}]
Mailbox: [{PrimarySmtpAddress: bob@contoso.com}]
OutboundConnector:
  - {Name: To our servers, ConnectorType: OnPremises, RecipientDomains: [contoso.com], UseMXRecord: false, SmartHosts: [192.0.2.1]}
"""


DOCUMENT: list[Declared] = []  # of all offices: they have the same routes


def queued(message: str) -> DeliveryRow:
    return {
        "message": message,
        "received_at": 1.0,
        "size": 1,
        "sender": "<>",
        "recipient": "bob@contoso.com",
        "state": "queued",
        "next_hop": "local",
        "rule_connector": "",
        "pinned": "",
        "due": 1.0,
        "attempts": 0,
        "last_error": "",
        "message_id": "",
        "subject": "",
        "connector": "",
        "config_version": 1,
    }


class Ticking:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = 1_790_000_000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, text: str, **more: Any) -> None:
        self.lines.append((text, more))

    error = warning = info


class NoWhatIf:
    def __init__(self) -> None:
        self.refusal = ""
        self.asked: list[Wish] = []
        self.looked = Looked({"changed": 0, "unchanged": 0, "groups": []}, "", ())
        self.replayed: list[tuple[int, float, int]] = []

    def replay(self, base: Any, organization: Any, *, since: float, examples: int) -> ReplayedTraffic:
        self.replayed.append((base.version, since, examples))
        return {
            "version": base.version,
            "since": since,
            "messages": 0,
            "envelopes": 0,
            "changed": 0,
            "unchanged": 0,
            "undecidable": 0,
            "answered_otherwise_then": 0,
            "digest": "",
            "groups": [],
            "undecidable_groups": [],
            "more_groups": 0,
            "queue": {"changed": 0, "unchanged": 0, "groups": []},
        }

    def check(self, base: Any, organization: Any, wish: Wish) -> Callable[[], int]:
        self.asked.append(wish)
        if self.refusal and wish.acknowledge != self.refusal:
            raise NotAllowedYet(f"repeat it with {self.refusal}")
        return lambda: 3

    def look(self, base: Any, organization: Any, wish: Wish) -> Looked:
        self.asked.append(wish)
        return self.looked


class Office:
    def __init__(self, directory: Path, *, beginning: str = BEGINNING) -> None:
        listeners = (ListenerSettings("mx", "mx", "127.0.0.1", 25), ListenerSettings("admin", "admin", "127.0.0.1", 8443))
        self.installation = Installation("mx.contoso.com", directory, listeners)
        self.clock, self.log, self.what_if = Ticking(), Log(), NoWhatIf()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.store = SqliteConfigStore(directory / "config.sqlite")
        self._key_file = directory / "credentials.key"
        self.vault = self.make_vault()
        self.accounts = SqliteAccounts(directory / "accounts.sqlite")
        self.audit = SqliteAuditLog(directory / "audit.sqlite")
        self.feed = EventFeed(1000)
        self.queues = [MemoryQueueEngine(), MemoryQueueEngine()]  # what `list` tells of
        self.file_problems: list[Problem] = []  # of mailwye.toml
        self.pinned_passwords = 0
        self.contents: dict[str, bytes] = {}  # message id → what is stored
        self.audits: Callable[[bool, bool, Callable[[], bool]], QueueAudit] = lambda _contents, _trace, _flush: QueueAudit(())
        self.issuer, oidc = Issuer(), settings()
        self._chance = 0
        self.services = Services(
            installation=self.installation,
            store=self.store,
            vault=self.vault,
            accounts=self.accounts,
            audit=self.audit,
            trace=TraceReader(directory / "trace"),
            clock=self.clock,
            control=self.control,
            unwrap=lambda: lambda address: None,
            what_if=self.what_if,
            feed=self.feed,
            cursors=Cursors(b"k" * 32),
            log=self.log,
            resolve=self.resolve,
            tls_results=lambda: SqliteResultStore(directory / "transport.sqlite", failures_per_domain=100),
            check_files=lambda: self.file_problems,
            vault_of_file=self.make_vault,
            fsck=self.fsck,
            export_content=self.export_content,
            pinned_passwords=lambda _current: self.pinned_passwords,
            secret=self._secret,
            hash_password=lambda text: f"hash of {text}",
            verify_password=lambda kept, text: kept == f"hash of {text}",
            openid=OpenIdGate(oidc, Provider(oidc, self.issuer, self.clock, lambda _text: None), self.clock),
        )
        self.app = application(self.services, is_ready=lambda: True, metrics=self._metrics)
        self.client = TestClient(self.app, raise_server_exceptions=False)
        if beginning:
            plan_file(self.store.current(), read_organization(beginning), vault=self.vault).save(self.store, author=AUTHOR, at=1.0)
        for role in Role:
            self.accounts.add_user(User(name_of(role), (role,), 0.0), f"hash of {PASSWORD}")

    def make_vault(self) -> FileVault:
        return FileVault(self._key_file, entropy=lambda count: b"k" * count, makes_key=True)

    def resolve(self, route: Route) -> Resolved:
        return Resolved(("mail.example.com[192.0.2.7]:25",), reasons=(f"asked about {route.next_hop}",))

    def fsck(self, contents: bool, with_trace: bool, flush: Callable[[], bool]) -> QueueAudit:
        return self.audits(contents, with_trace, flush)

    def export_content(self, message_id: str, file: Any) -> int:
        return int(file.write(self.contents.get(message_id, b"")))

    async def _metrics(self) -> str:
        return "mailwye_ready 1\n"

    def _secret(self, count: int) -> bytes:
        self._chance += 1
        return self._chance.to_bytes(count, "big")

    async def control(self, operation: str, arguments: dict[str, Any]) -> Any:
        self.asked.append((operation, arguments))
        match operation:
            case "status":
                return {"version": self.store.version(), "workers": [], "ready": True, "restarts": 0, "missing": []}
            case "certificates":
                return {"rows": []}
            case "queue.counts":
                return {"counts": {}, "missing": []}
            case "queue.list" if arguments.get("states"):  # what is corrupt
                ids = [name for name in self.contents if arguments.get("message_id", name) == name][: arguments["limit"]]
                return {"rows": [{**queued(name), "place": "0/0", "delivery": at} for at, name in enumerate(ids)], "missing": []}
            case "queue.delete" if arguments.get("states"):
                gone = [name for name in self.contents if arguments.get("message_id", name) == name]
                for name in gone:
                    del self.contents[name]
                return {"count": len(gone), "unfinished": False, "after": [], "missing": []}
            case "queue.list":
                workers = enumerate(self.queues)
                more: Any = {"clock": self.clock, "trace": None}
                found = [await run("list", arguments, [one], place=str(number), **more) for number, one in workers]
                return {**merged(found, arguments), "missing": []}
            case "queue.show":
                known = arguments["message_id"] == "m1"
                return {"rows": [queued("m1")] if known else [], "header": "Subject: x" if known else "", "missing": []}
            case _ if operation.startswith("queue."):
                return {"count": 2, "rows": [], "unfinished": not arguments.get("after"), "after": [["0/0", 5]], "missing": []}
            case _:
                return {"version": self.store.version(), "missing": []}

    def token(self, role: Role = Role.ORGANIZATION_MANAGEMENT, *scopes: Permission, days: int = 1) -> str:
        user = self.accounts.user(name_of(role))
        assert user is not None
        carried = frozenset(scopes) or user.permissions
        token, secret, digest = make_token(user.name, carried, "", days=days, now=self.clock.now(), secret=self._secret)
        self.accounts.add_token(token, digest)
        return secret

    def openid_token(self, role: Role | None = Role.ORGANIZATION_MANAGEMENT, **more: Any) -> str:
        """Of a person whom the issuer gives that role."""
        return self.issuer.sign(claims_at(self.clock.now(), role, **more))

    def ask(self, method: str, path: str, *, token: str = "", role: Role = Role.ORGANIZATION_MANAGEMENT, **more: Any) -> Any:
        """A request of somebody with that role."""
        token = token or self.token(role)
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        prefix = "" if path.startswith("/api") else "/api/v1"
        answer = self.client.request(method, prefix + path, headers=headers, **more)
        self.declared.check(method, prefix + path, answer.status_code, answer.headers, answer.content)
        return answer

    @property
    def declared(self) -> Declared:
        if not DOCUMENT:
            DOCUMENT.append(Declared(describe(self.app)))
        return DOCUMENT[0]

    def close(self) -> None:
        self.store.close()
        self.accounts.close()
        self.audit.close()


def name_of(role: Role) -> str:
    return role.name.lower()


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}
