"""`mailwye serve`: bind, give up root, start the workers, keep them; and `status` and `reload`, which ask the running service."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailwye.cli import exit_codes
from mailwye.cli.installation import ask_service, config_option, control_path, missing_words, read, socket_name
from mailwye.cli.output import fail, print_json

if TYPE_CHECKING:
    from mailwye.admin.certificate_keeper import CertificateKeeper
    from mailwye.admin.certificate_watch import CertificateWatch
    from mailwye.admin.supervisor import Supervisor, WorkerHandle
    from mailwye.cli.access.listeners import AdminListeners
    from mailwye.config.installation import Installation


@click.command()
@config_option
def serve(config: Path) -> None:
    """Serve mail until SIGTERM or Ctrl-C, which finish what is in flight. SIGHUP reads certificates and settings again."""
    from mailwye.cli.binding import BindError, bind_all
    from mailwye.runtime import logs, loops
    from mailwye.runtime.privileges import PrivilegeError, become, hand_over, is_root
    from mailwye.runtime.systemd import passed_sockets

    installation = read(config)
    logs.set_up()
    import mailwye.cli.worker_process  # noqa: F401 - before root is given up: the user needs not be able to read every folder on the way

    try:
        sockets = bind_all(installation.listeners, passed_sockets())
        if installation.user and is_root():
            hand_over(installation.data_directory, installation.user)
            become(installation.user)
    except BindError as error:
        fail(str(error), error.exit_code)
    except (PrivilegeError, OSError) as error:
        fail(str(error), exit_codes.NO_PERMISSION)
    sys.exit(loops.run(_Service(config.absolute(), installation, sockets).run()))


class _Service:
    """The control process from start to end."""

    def __init__(self, config: Path, installation: Installation, sockets: Mapping[str, socket.socket]) -> None:
        from mailwye.runtime import logs

        self._config = config
        self._installation = installation
        self._sockets = sockets
        self._mail_sockets = {one.name: sockets[one.name] for one in installation.listeners if one.kind != "admin"}
        self._log = logs.logger("supervisor")
        self._stop = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._keeper: CertificateKeeper  # once the workers serve
        self._admin: AdminListeners | None = None  # where there is an admin listener

    async def run(self) -> int:
        """Serve; the exit code."""
        from mailwye.admin.supervisor import Supervisor
        from mailwye.certificates import check_tls
        from mailwye.cli.worker_process import StartFailed, start_failed
        from mailwye.runtime.logs import report_internal_errors
        from mailwye.stores import open_config_store

        report_internal_errors(self._log)
        supervisor = None
        try:
            self._refuse_second_service()
            check_tls(self._installation)
            store = open_config_store(self._installation)
            supervisor = Supervisor(self._start_worker, self._worker_numbers(), store, log=self._log)
            watch = self._watch(supervisor)  # before the workers read the files: what changes meanwhile is seen
            await supervisor.start()
            self._keeper = self._make_keeper()
            await self._open_control(supervisor)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said, and the workers that did start are ended
            failure = error if isinstance(error, StartFailed) else start_failed(error)
            click.echo(f"mailwye: cannot serve: {failure}", err=True)
            if supervisor is not None:
                await supervisor.stop(0)
            return failure.exit_code
        await self._announce(supervisor)
        watching = [asyncio.ensure_future(one.run()) for one in (watch, self._keeper)]
        await self._until_stopped(supervisor)
        for one in watching:
            one.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        self._keeper.close()
        await self._close(supervisor)
        store.close()
        self._log.info("stopped")
        return 0

    def _watch(self, supervisor: Supervisor) -> CertificateWatch:
        from mailwye.admin.certificate_watch import CertificateWatch
        from mailwye.certificates import check_tls, watched_files

        return CertificateWatch(
            watched_files(self._installation),
            check=lambda: check_tls(self._installation),
            reload=lambda: self._handle(supervisor, "reload_tls", {}),
            log=self._log,
        )

    def _make_keeper(self) -> CertificateKeeper:
        from mailwye.admin.certificate_keeper import CertificateKeeper
        from mailwye.runtime.clock import SystemClock
        from mailwye.stores import certificate_register

        return CertificateKeeper(
            certificate_register(self._installation, self._alert),
            clock=SystemClock(),
            log=self._log,
        )

    async def _handle(self, supervisor: Supervisor, operation: str, arguments: dict[str, Any]) -> Any:
        """An operation of the control socket."""
        if operation == "certificates":
            return {"rows": await self._keeper.rows()}
        answer = await supervisor.handle(operation, arguments)
        if operation == "status" and self._admin is not None and (openid := self._admin.openid_status()) is not None:
            answer = {**answer, "openid": openid}
        if operation in ("reload", "reload_tls") and self._admin is not None:
            self._admin.reload_tls()
        return answer

    async def _metrics(self, supervisor: Supervisor) -> str:
        """What /metrics says."""
        from mailwye import __version__
        from mailwye.admin.metrics import render

        status = await self._handle(supervisor, "status", {})
        counts = await supervisor.handle("queue.counts", {})
        return render({**status, **counts, "certificates": await self._keeper.rows()}, release=__version__)

    async def _close(self, supervisor: Supervisor) -> None:
        """Take no more connections, anywhere; finish what is in flight."""
        for server in self._servers:
            server.close()
        if self._admin is not None:
            await self._admin.close()
        with suppress(OSError):  # a disk that turned read-only keeps it: the next start removes it
            control_path(self._installation).unlink()
        if self._installation.workers:  # our copies of their sockets: while one is open the kernel takes connections for nobody
            for listening in self._mail_sockets.values():
                listening.close()
        await supervisor.stop(self._installation.shutdown_timeout)

    def _refuse_second_service(self) -> None:
        from mailwye.cli.worker_process import StartFailed

        if ask_service(self._installation, "status") is not None:
            text = f"a service runs already with the data directory {self._installation.data_directory}; stop it first"
            raise StartFailed(text, exit_codes.UNAVAILABLE)

    # --- workers

    def _worker_numbers(self) -> list[int]:
        return list(range(max(1, self._installation.workers)))

    def _queues_of(self, number: int) -> list[int]:
        """A worker's own queue file, then those left behind by workers that no longer exist, shared out evenly."""
        from mailwye.stores import queue_numbers

        count = len(self._worker_numbers())
        left = [queue for queue in queue_numbers(self._installation) if queue >= count and queue % count == number]
        return [number, *left]

    async def _start_worker(self, number: int) -> WorkerHandle:
        from mailwye.cli.worker_process import LocalWorker, ProcessWorker

        queues = self._queues_of(number)
        if len(queues) > 1:
            self._log.info("serving queues of former workers too", worker=number, queues=str(queues[1:]))
        if self._installation.workers == 0:
            return await LocalWorker.start(self._installation, queues, self._mail_sockets, self._log)
        return await ProcessWorker.start(self._installation, number, queues, self._mail_sockets)

    # --- control

    async def _open_control(self, supervisor: Supervisor) -> None:
        from mailwye.runtime import channel
        from mailwye.runtime.channel import streams

        path = control_path(self._installation)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.parent.chmod(0o700)  # it may have been made by hand
        path.unlink(missing_ok=True)

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await streams.serve(reader, writer, partial(self._handle, supervisor))

        before = os.umask(0o177)  # the socket is for its owner only, from its first moment
        try:
            self._servers.append(await asyncio.start_unix_server(answer, socket_name(path), limit=channel.REQUEST_LIMIT))
        finally:
            os.umask(before)
        if any(listener.kind == "admin" for listener in self._installation.listeners):
            await self._open_admin(supervisor)

    async def _open_admin(self, supervisor: Supervisor) -> None:
        """Imported here: FastAPI takes its time, and not everybody has an admin listener."""
        from mailwye.cli.access.listeners import AdminListeners

        self._admin = AdminListeners(
            self._config,
            self._installation,
            self._sockets,
            partial(self._handle, supervisor),
            is_ready=lambda: supervisor.is_ready,
            metrics=lambda: self._metrics(supervisor),
            log=self._log,
        )
        supervisor.on_activated = lambda version: self._tell("version", {"version": version})
        await self._admin.start()

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        """Whoever listens to events."""
        if self._admin is not None:
            self._admin.feed.publish(kind, data)

    def _alert(self, text: str) -> None:
        self._log.error("alert", text=text)
        self._tell("alert", {"text": text})

    async def _announce(self, supervisor: Supervisor) -> None:
        from mailwye.config.installation import KINDS_WITHOUT_TLS
        from mailwye.runtime.systemd import notify

        for listener in self._installation.listeners:
            where = f"[{listener.address}]:{listener.port}" if ":" in listener.address else f"{listener.address}:{listener.port}"
            offered = "offered"
            if listener.kind == "admin":
                offered = "required" if listener.certificate else "none: the API only where the address is a loopback one"
            elif listener.kind in KINDS_WITHOUT_TLS:
                offered = "none: it only answers a certificate authority"
            elif (listener.certificate or self._installation.tls.certificate) is None:
                offered = "none: set [tls] certificate and private_key to offer it"
            self._log.info("listening", listener=listener.name, kind=listener.kind, address=where, tls=offered)
        if not supervisor.version:
            self._log.warning("no settings yet: all mail is refused; save some with `mailwye apply -f organization.yaml`")
        counts = (await supervisor.handle("queue.counts", {})).get("counts", {})
        self._log.info(
            "ready",
            hostname=self._installation.hostname,
            version=supervisor.version,
            workers=self._installation.workers,
            queued=sum(number for states in counts.values() for number in states.values()),
        )
        notify(f"READY=1\nMAINPID={os.getpid()}\nSTATUS=version {supervisor.version} in force")

    async def _until_stopped(self, supervisor: Supervisor) -> None:
        from mailwye.runtime.systemd import notify, watchdog_seconds

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        reloading: set[asyncio.Task[None]] = set()

        def on_hangup() -> None:
            task = asyncio.ensure_future(self._reload(supervisor))
            reloading.add(task)
            task.add_done_callback(reloading.discard)

        loop.add_signal_handler(signal.SIGHUP, on_hangup)
        every = watchdog_seconds()
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(every):
                    await self._stop.wait()
            except TimeoutError:
                notify("WATCHDOG=1")
        self._log.info("stopping", finishing_within_seconds=self._installation.shutdown_timeout)
        notify("STOPPING=1")

    async def _reload(self, supervisor: Supervisor) -> None:
        from mailwye.runtime.channel import ChannelError
        from mailwye.runtime.clock import SystemClock
        from mailwye.runtime.store_error import StoreError
        from mailwye.runtime.systemd import notify

        notify(f"RELOADING=1\nMONOTONIC_USEC={int(SystemClock().monotonic() * 1_000_000)}")
        try:
            answer = await self._handle(supervisor, "reload", {})
            self._log.info("reloaded", version=answer["version"])
        except (ChannelError, StoreError) as error:
            self._log.error("not reloaded, the old settings stay in force", error=str(error))
        notify("READY=1")


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(config: Path, *, as_json: bool) -> None:
    """Ask the running service how it is. Exits 69 where none runs."""
    installation = read(config)
    answer = ask_service(installation, "status")
    if answer is None:
        fail(f"no service runs with {config}; `mailwye serve --config {config}` starts one", exit_codes.UNAVAILABLE)
    counts: dict[str, Any] = ask_service(installation, "queue.counts") or {}
    if as_json:
        print_json({**answer, **counts})
        return
    click.echo(f"ready: {'yes' if answer['ready'] else 'no'}, configuration version {answer['version']}")
    if answer.get("missing"):
        click.echo(missing_words(answer))
    for worker in answer["workers"]:
        click.echo(f"worker {worker['number']}: {worker['sessions']} open sessions")
    if "openid" in answer:
        from mailwye.cli.access.oidc import status_words

        click.echo(status_words(answer["openid"]))
    for hop, states in sorted(counts.get("counts", {}).items()):
        click.echo(f"queue {hop}: " + ", ".join(f"{number} {state}" for state, number in sorted(states.items())))


@click.command("reload")
@config_option
def reload(config: Path) -> None:
    """Let the running service read certificates and settings again."""
    installation = read(config)
    answer = ask_service(installation, "reload")
    if answer is None:
        fail(f"no service runs with {config}", exit_codes.UNAVAILABLE)
    click.echo(f"reloaded; version {answer['version']} is in force")
