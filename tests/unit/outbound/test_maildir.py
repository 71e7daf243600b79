"""Mailbox delivery into Maildirs."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailwye.connectors.selection import Route, RouteKind
from mailwye.message.content import Content, InlineContent
from mailwye.outbound.courier import Attempt, Stage, Work
from mailwye.outbound.mailbox_maildir import MaildirCourier, mailbox_path
from mailwye.outbound.outcomes import judge
from mailwye.queue.engine import QueueError
from mailwye.queue.item import Lease, Result
from mailwye.queue.memory import ChunkedContent, MemoryQueueEngine
from mailwye.runtime import files
from mailwye.runtime.clock import SystemClock
from mailwye.smtp.address import Address, parse_address
from tests.conformance.queue_samples import new_message

CONTENT = b"From: <sun@example.net>\r\nSubject: Lunch\r\n\r\n.\r\nGr\xc3\xbc\xc3\x9fe\r\n"
ON_DISK = CONTENT.replace(b"\r\n", b"\n")
HEAD = b"Return-Path: <john@contoso.com>\nDelivered-To: bob@contoso.com\n"


async def leased(*recipients: str, content: Content | None = None, sender: str | None = "john@contoso.com") -> Lease:
    engine = MemoryQueueEngine()
    await engine.accept(new_message("M1", *recipients, hop="mailbox", content=content or InlineContent(CONTENT), sender=sender))
    (lease,) = await engine.lease(2000.0, limit=1)
    return lease


def work(lease: Lease) -> Work:
    recipients = tuple(delivery.recipient for delivery in lease.deliveries)
    return Work(lease, Route(RouteKind.MAILBOX, recipients[0], mailbox=str(recipients[0])), recipients)


async def delivered(root: Path, *recipients: str, content: Content | None = None, sender: str | None = "john@contoso.com") -> list[Attempt]:
    courier = MaildirCourier(root, hostname="mx.mailwye.example", clock=SystemClock())
    try:
        return list(await courier.deliver(work(await leased(*recipients, content=content, sender=sender))))
    finally:
        await courier.close()


def the_file(maildir: Path) -> Path:
    (path,) = (maildir / "new").iterdir()
    return path


async def test_a_message_arrives_behind_two_fields(tmp_path: Path) -> None:
    (attempt,) = await delivered(tmp_path, "bob@contoso.com")
    assert (attempt.stage, attempt.reply.code) == (Stage.MAILBOX, 250)
    assert judge(attempt).result is Result.DELIVERED
    maildir = tmp_path / "contoso.com" / "bob"
    path = the_file(maildir)
    assert path.read_bytes() == HEAD + ON_DISK
    assert path.name.endswith(f".mx.mailwye.example,S={path.stat().st_size}")
    assert sorted(part.name for part in maildir.iterdir()) == ["cur", "new", "tmp"]
    assert list((maildir / "tmp").iterdir()) == []
    assert path.stat().st_mode & 0o077 == 0


async def test_the_null_sender(tmp_path: Path) -> None:
    await delivered(tmp_path, "bob@contoso.com", sender=None)
    assert the_file(tmp_path / "contoso.com" / "bob").read_bytes().startswith(b"Return-Path: <>\n")


async def test_each_recipient_gets_his_copy(tmp_path: Path) -> None:
    attempts = await delivered(tmp_path, "bob@contoso.com", "alice@contoso.com")
    assert [attempt.reply.code for attempt in attempts] == [250, 250]
    assert b"Delivered-To: alice@contoso.com\n" in the_file(tmp_path / "contoso.com" / "alice").read_bytes()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 1000])
async def test_streamed_content_is_the_same_wherever_the_pieces_end(tmp_path: Path, size: int) -> None:
    pieces = tuple(CONTENT[at : at + size] for at in range(0, len(CONTENT), size))
    (attempt,) = await delivered(tmp_path, "bob@contoso.com", content=ChunkedContent(pieces))
    assert attempt.reply.code == 250
    path = the_file(tmp_path / "contoso.com" / "bob")
    assert path.read_bytes() == HEAD + ON_DISK
    assert path.name.endswith(f",S={path.stat().st_size}")


async def test_a_bare_cr_at_the_end_is_kept(tmp_path: Path) -> None:
    await delivered(tmp_path, "bob@contoso.com", content=ChunkedContent((b"a\r\nb\r", b"c\r")))
    assert the_file(tmp_path / "contoso.com" / "bob").read_bytes() == HEAD + b"a\nb\rc\r"


class BrokenContent:
    """Content whose store fails half-way."""

    size = 10
    inline = None

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"Subject: x\r\n"
        raise QueueError("unreadable")


async def test_content_that_cannot_be_read_is_never_delivered_by_half(tmp_path: Path) -> None:
    (attempt,) = await delivered(tmp_path, "bob@contoso.com", content=BrokenContent())
    assert judge(attempt).result is Result.DEFERRED
    maildir = tmp_path / "contoso.com" / "bob"
    assert list((maildir / "new").iterdir()) == list((maildir / "tmp").iterdir()) == []


async def test_many_at_once_have_names_of_their_own_and_few_syncs_of_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    original = files.sync_directories

    def counted(directories: tuple[Path, ...]) -> None:
        synced.extend(directories)
        original(directories)

    monkeypatch.setattr(files, "sync_directories", counted)
    courier = MaildirCourier(tmp_path, hostname="mx", clock=SystemClock())
    waiting = [courier.deliver(work(await leased("bob@contoso.com"))) for _ in range(100)]
    attempts = [attempt for one in waiting for attempt in await one]
    await courier.close()
    assert [attempt.reply.code for attempt in attempts] == [250] * 100
    new = tmp_path / "contoso.com" / "bob" / "new"
    assert len(list(new.iterdir())) == 100
    assert synced.count(new) < 60


async def test_the_order_is_octets_name_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await delivered(tmp_path, "bob@contoso.com")  # the Maildir exists from now on
    steps: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename  # noqa: TID251 - the order of these calls is what is tested

    def fsync(descriptor: int) -> None:
        steps.append("fsync directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "fsync file")
        real_fsync(descriptor)

    def rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return real_rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    await delivered(tmp_path, "bob@contoso.com")
    assert steps == ["fsync file", "rename", "fsync directory"]


@pytest.mark.parametrize(
    ("number", "enhanced", "remedy"),
    [(errno.ENOSPC, "4.3.1", "Free some space"), (errno.EACCES, "4.3.0", "Let the user"), (errno.EIO, "4.3.0", "Look at the disk")],
)
async def test_a_disk_that_fails_defers_with_path_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, enhanced: str, remedy: str
) -> None:
    def fails(descriptor: int, data: bytes) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "write_all", fails)
    (attempt,) = await delivered(tmp_path, "bob@contoso.com")
    assert judge(attempt).result is Result.DEFERRED
    assert attempt.reply.enhanced == enhanced
    assert str(tmp_path) not in str(attempt.reply)  # the sender may read the reply
    assert str(tmp_path / "contoso.com" / "bob") in attempt.reasons[0]
    assert remedy in attempt.reasons[0]
    maildir = tmp_path / "contoso.com" / "bob"
    assert list((maildir / "new").iterdir()) == list((maildir / "tmp").iterdir()) == []


async def test_a_directory_that_cannot_be_synced_defers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await delivered(tmp_path, "bob@contoso.com")

    def fails(directories: tuple[Path, ...]) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "sync_directories", fails)
    (attempt,) = await delivered(tmp_path, "bob@contoso.com")
    assert judge(attempt).result is Result.DEFERRED


async def test_a_maildir_that_vanished_is_made_again(tmp_path: Path) -> None:
    courier = MaildirCourier(tmp_path, hostname="mx", clock=SystemClock())
    await courier.deliver(work(await leased("bob@contoso.com")))
    maildir = tmp_path / "contoso.com" / "bob"
    (tmp_path / "contoso.com" / "bob").rename(tmp_path / "gone")
    (first,) = await courier.deliver(work(await leased("bob@contoso.com")))
    (second,) = await courier.deliver(work(await leased("bob@contoso.com")))
    await courier.close()
    assert (first.reply.code, second.reply.code) == (451, 250)
    assert the_file(maildir).read_bytes() == HEAD + ON_DISK


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (parse_address("Bob.Smith+tag@contoso.com"), "contoso.com/bob.smith+tag"),
        (Address('"a b"', "contoso.com"), "contoso.com/a%20b"),
        (Address('"../../etc/passwd"', "contoso.com"), "contoso.com/%2E.%2F..%2Fetc%2Fpasswd"),
        (Address('".."', "contoso.com"), "contoso.com/%2E."),
        (Address('"."', "contoso.com"), "contoso.com/%2E"),
        (Address("100%", "contoso.com"), "contoso.com/100%25"),
        (Address("grün", "contoso.com"), "contoso.com/gr%C3%BCn"),
        (Address('"a@b"', "contoso.com"), "contoso.com/a@b"),
    ],
)
def test_no_address_leaves_its_directory(address: Address, path: str) -> None:
    assert mailbox_path(Path("root"), address) == Path("root") / path
