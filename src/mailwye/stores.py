"""The composition root of what is stored: opens the stores of an installation, for workers, the supervisor and the command line. Each
engine is imported only when it is opened, so that a command starts as fast as its own store allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mailwye.config.installation import Installation
from mailwye.config.store_errors import ConfigStoreError
from mailwye.runtime.store_error import StoreError

if TYPE_CHECKING:
    from mailwye.admin.certificate_register import CertificateRegister
    from mailwye.config.snapshot import Snapshot
    from mailwye.config.store import ConfigStore, StoredVersion
    from mailwye.queue.audit import QueueAudit
    from mailwye.queue.item import QueueRow
    from mailwye.storage.secrets.vault import FileVault
    from mailwye.storage.sqlite.access.accounts import SqliteAccounts
    from mailwye.storage.sqlite.access.audit import SqliteAuditLog
    from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine
    from mailwye.storage.sqlite.trace_store import SqliteTraceRecorder
    from mailwye.storage.sqlite.traffic.store import SqliteTraffic
    from mailwye.storage.sqlite.transport.policies import SqlitePolicyStore
    from mailwye.storage.sqlite.transport.results import SqliteResultStore
    from mailwye.trace.recorder import TraceSearch
    from mailwye.trace.sightings import SightingStore
    from mailwye.whatif.traffic import RecordedTraffic

Alert = Callable[[str], None]

SECRET_OCTETS = 32


def open_config_store(installation: Installation) -> ConfigStore:
    """The versions of the organization. :raises ConfigStoreError: unreadable, or no data directory; says what to do."""
    from mailwye.storage.sqlite.config_store import SqliteConfigStore

    directory = installation.data_directory
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigStoreError(
            f"the data directory {directory} cannot be made: {reason}. Correct data_directory, or the owner of its parent"
        ) from error
    return SqliteConfigStore(directory / "config.sqlite")


def installation_secret(installation: Installation) -> bytes:
    """The secret by which this installation recognizes its own path marks and rewritten senders: `secret.key` in the data directory, made
    at the first start, shared by all workers. :raises ConfigStoreError: unreadable or damaged; says what to do.
    """
    from mailwye.runtime.entropy import secret_octets
    from mailwye.runtime.files import keep_first, secret_file_remedy

    path = installation.data_directory / "secret.key"
    try:
        secret = bytes.fromhex(keep_first(path, secret_octets(SECRET_OCTETS).hex().encode() + b"\n").decode("ascii"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigStoreError(f"{path} cannot be read or made: {reason}. {secret_file_remedy(error)}") from error
    except ValueError:
        secret = b""
    if len(secret) != SECRET_OCTETS:
        raise ConfigStoreError(
            f"{path} is damaged. Restore it from the backup, or remove it: a new one is made at the next start, and bounces to addresses "
            "that were rewritten with the old one are refused"
        )
    return secret


def credential_key_file(installation: Installation) -> Path:
    """The key under which saved passwords of connectors are encrypted."""
    named = installation.secrets.key_file
    return Path(named) if named else installation.data_directory / "credentials.key"


def open_vault(installation: Installation) -> FileVault:
    """Seals and opens the passwords of connectors. Reads nothing yet; a key file in the data directory is made when it is first needed."""
    from mailwye.runtime.entropy import secret_octets
    from mailwye.storage.secrets.vault import FileVault

    return FileVault(credential_key_file(installation), entropy=secret_octets, makes_key=not installation.secrets.key_file)


def open_trace(installation: Installation) -> TraceSearch:
    """The trace of all workers, also while they write it."""
    from mailwye.storage.sqlite.trace_reader import TraceReader

    return TraceReader(installation.data_directory / "trace")


def open_trace_recorder(installation: Installation, number: int, alert: Alert) -> SqliteTraceRecorder:
    """Where worker `number` writes its trace."""
    from mailwye.storage.sqlite.trace_store import SqliteTraceRecorder

    return SqliteTraceRecorder(
        installation.data_directory / "trace",
        number,
        buffer_events=installation.trace.buffer_events,
        retention_days=installation.trace.retention_days,
        free_space_minimum=installation.queue.free_space_minimum // 2,  # refusals for want of room are still told
        on_alert=alert,
    )


def open_traffic_store(installation: Installation, number: int, alert: Alert) -> SqliteTraffic:
    """Where worker `number` records traffic for replays."""
    from mailwye.storage.sqlite.traffic.store import SqliteTraffic

    return SqliteTraffic(
        installation.data_directory / "traffic",
        number,
        retention_days=installation.replay.retention_days,
        octets=installation.replay.octets,
        free_space_minimum=installation.queue.free_space_minimum,
        on_alert=alert,
    )


def open_traffic(installation: Installation) -> RecordedTraffic:
    """The recorded traffic of all workers, also while they record it."""
    from mailwye.storage.sqlite.traffic.reader import TrafficReader

    return TrafficReader(installation.data_directory / "traffic")


def open_sightings(installation: Installation, alert: Alert, *, create: bool = True) -> SightingStore:
    """The memory of certificates seen on connectors, shared by all processes; where its file cannot be used (or, without `create`, is not
    there), one that ends with the process: mail does not wait for it.
    """
    from mailwye.storage.sqlite.certificates.sighting_store import SqliteSightings
    from mailwye.trace.sightings import MemorySightings

    path = installation.data_directory / "certificates.sqlite"
    try:
        if not create and not path.exists():
            return MemorySightings()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        return SqliteSightings(path)
    except (StoreError, OSError) as error:
        alert(f"the memory of certificates is lost at the next restart: {error}")
        return MemorySightings()


def open_policy_store(installation: Installation) -> SqlitePolicyStore:
    """The MTA-STS policies of all workers. :raises PolicyStoreError: damaged, or no right to it; says what to do."""
    from mailwye.storage.sqlite.transport.policies import SqlitePolicyStore

    return SqlitePolicyStore(installation.data_directory / "transport.sqlite", limit=installation.transport.policies)


def open_result_store(installation: Installation) -> SqliteResultStore:
    """What sessions met, for TLS reports, of all workers. :raises PolicyStoreError: damaged, or no right to it; says what to do."""
    from mailwye.storage.sqlite.transport.results import SqliteResultStore

    path = installation.data_directory / "transport.sqlite"
    return SqliteResultStore(path, failures_per_domain=installation.transport.tls_report_failures)


def open_queue(installation: Installation, number: int, alert: Alert) -> SqliteQueueEngine:
    """The queue file of worker `number`. :raises QueueError: in use by another process, or damaged; says what to do."""
    from mailwye.storage.sqlite.queue_engine import SqliteQueueEngine

    path = queue_file(installation, number)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    settings = installation.queue
    return SqliteQueueEngine(
        path,
        inline_octets=settings.inline_octets,
        memory_octets=settings.memory_octets,
        free_space_minimum=settings.free_space_minimum,
        free_inodes_minimum=settings.free_inodes_minimum,
        messages=settings.messages,
        on_alert=alert,
    )


def queue_file(installation: Installation, number: int) -> Path:
    """Where worker `number` keeps its queue."""
    return installation.data_directory / "queue" / f"worker-{number}.sqlite"


def queue_numbers(installation: Installation) -> list[int]:
    """The workers whose queue files exist, whether those workers still do or not."""
    files = (installation.data_directory / "queue").glob("worker-*.sqlite")
    return sorted(int(number) for file in files if (number := file.stem.removeprefix("worker-")).isdigit())


def certificate_register(installation: Installation, alert: Alert, *, create: bool = True) -> CertificateRegister:
    """What is known of certificates and was warned of. Only the control process gives warnings."""
    from mailwye.admin.certificate_register import CertificateRegister
    from mailwye.config.certificate_files import certificate_files

    return CertificateRegister(open_sightings(installation, alert, create=create), certificate_files(installation))


def challenge_folder(installation: Installation) -> Path:
    """Where answers for a certificate authority are put (HTTP-01), as certbot's webroot plugin does below `data_directory`/acme."""
    return installation.data_directory / "acme" / ".well-known" / "acme-challenge"


def acme_pair(installation: Installation, name: str) -> tuple[Path, Path]:
    """Where the certificate for `name` (canonical) and its key are kept that were got by ACME."""
    folder = installation.data_directory / "acme"
    return folder / f"{name}.pem", folder / f"{name}.key"


def open_accounts(installation: Installation) -> SqliteAccounts:
    """Users of the API and their tokens. :raises AccountError: the file cannot be used; says what to do."""
    from mailwye.storage.sqlite.access.accounts import SqliteAccounts

    installation.data_directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    return SqliteAccounts(installation.data_directory / "accounts.sqlite")


def open_audit_log(installation: Installation) -> SqliteAuditLog:
    """Who changed what, who read whose mail. :raises AuditError: the file cannot be used; says what to do."""
    from mailwye.storage.sqlite.access.audit import SqliteAuditLog

    installation.data_directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    return SqliteAuditLog(installation.data_directory / "audit.sqlite")


def audit_queues(installation: Installation, *, contents: bool, with_trace: bool, flush: Callable[[], bool]) -> QueueAudit:
    """Prove that nothing accepted is lost; see storage/sqlite/audit/queues.py."""
    from mailwye.storage.sqlite.audit.queues import audit

    files = [queue_file(installation, number) for number in queue_numbers(installation)]
    return audit(files, installation.data_directory / "trace" if with_trace else None, contents=contents, flush=flush)


def queued_rows(installation: Installation) -> Iterator[QueueRow]:
    """Everything in all queue files, oldest first within each. The service may run: what it does meanwhile may be seen or not.

    :raises DatabaseError: a queue file cannot be read.
    """
    from mailwye.storage.sqlite.queue_reader import all_rows

    for number in queue_numbers(installation):
        yield from all_rows(queue_file(installation, number))


def pinned_passwords(installation: Installation, current: StoredVersion) -> int:
    """Deliveries that log in with a password which only their pin holds. :raises DatabaseError: a queue file cannot be read."""
    from mailwye.whatif.queued import has_a_password_of_then

    snapshot = compiled(current)
    return sum(has_a_password_of_then(snapshot, row) for row in queued_rows(installation))


def export_content(installation: Installation, message_id: str, to: BinaryIO) -> int:
    """Write what is stored as the content of a queued message, damaged or not; octets written. The service may run.

    :raises DatabaseError: a queue file cannot be read.
    """
    from mailwye.storage.sqlite.audit.queues import raw_content

    written = 0
    for number in queue_numbers(installation):
        for piece in raw_content(queue_file(installation, number), message_id):
            written += to.write(piece)
    return written


def current_snapshot(store: ConfigStore) -> Snapshot:
    """The newest version, compiled."""
    return compiled(store.current())


def compiled(stored: StoredVersion, previous: tuple[StoredVersion, Snapshot] | None = None) -> Snapshot:
    """A version as the deciding functions read it. `previous`: the version compiled before it; what did not change is taken over."""
    from mailwye.config.compile import compile_snapshot
    from mailwye.runtime.garbage import collection_paused

    before = (previous[0].organization, previous[1]) if previous is not None else None
    with collection_paused():
        return compile_snapshot(stored.organization, stored.version, previous=before)
