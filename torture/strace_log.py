"""What strace wrote, as values: who called what on which file or connection, with which octets, and how it ended.

Wants `-f -yy` (names of descriptors) and a `-s` above the longest write, so that no octet is missing. A call that other threads interrupted
(`<unfinished …>` … `<… resumed>`) becomes one value with the lines of its beginning and its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

STRING_OCTETS = 9000  # above SQLite's page of 8192, the longest piece that the service writes to its queue

WRITES = frozenset({"write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg"})
READS = frozenset({"read", "readv", "recvfrom", "recvmsg"})
SYNCS = frozenset({"fsync", "fdatasync"})
OTHERS = frozenset({"openat", "ftruncate", "unlink", "unlinkat", "rename", "renameat", "renameat2"})

_LINE = re.compile(r"(\d+) +(.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+|\?)([^\"]*)", re.DOTALL)
_DESCRIPTOR = re.compile(r"(\d+)<((?:TCP|UDP)\S*?\]|[^>]*)>")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(\.\.\.)?', re.DOTALL)
_ERROR = re.compile(r" (E[A-Z0-9]+) ")
_CONNECTION = re.compile(r"TCP(?:v6)?:\[(.+)->(.+)\]")


@dataclass(frozen=True, slots=True)
class Call:
    """One system call. `began`, `ended`: line numbers of the log, which is in the order of time. `descriptor`: number and what it is, of
    the first argument. `strings`: its quoted arguments decoded; `whole`: none of them was cut off. `error`: "" or "EIO".
    """

    thread: int
    name: str
    began: int
    ended: int
    descriptor: str
    strings: tuple[bytes, ...]
    numbers: tuple[int, ...]
    whole: bool
    result: int
    error: str
    injected: bool
    flags: str

    @property
    def data(self) -> bytes:
        """What was written or read. A write that took less, or failed, took only the first `result` octets."""
        return b"".join(self.strings)[: max(self.result, 0)]

    @property
    def ends(self) -> tuple[str, str] | None:
        """Of a TCP connection: our end and the other one, "127.0.0.1:25"."""
        match = _CONNECTION.fullmatch(self.descriptor)
        return (match[1], match[2]) if match else None


def command(log: Path, *, inject: Iterable[str] = ()) -> list[str]:
    """The words before a command that is to be traced. `inject`: values for strace's -e inject."""
    calls = ",".join(sorted(WRITES | READS | SYNCS | OTHERS))
    words = ["strace", "-f", "-yy", "--seccomp-bpf", "-s", str(STRING_OCTETS), "-o", str(log), "-e", f"trace={calls}", "-e", "signal=none"]
    for one in inject:
        words += ["-e", f"inject={one}"]
    return words


def parse(lines: Iterable[str]) -> Iterator[Call]:
    """The calls that ended, in the order of their ends. The last line of a log may be cut off: what it says is left out.

    :raises ValueError: a line that strace does not write.
    """
    begun: dict[int, tuple[int, str]] = {}
    for number, line in enumerate(lines):
        if not line.endswith("\n"):
            return
        match = _LINE.fullmatch(line[:-1])
        if match is None:
            raise ValueError(f"line {number + 1} is not strace's: {line[:80]!r}")
        thread, text = int(match[1]), match[2]
        if text.startswith(("+++", "---", "strace:")) or text.endswith("<detached ...>"):  # the last: a thread that was killed in a call
            continue
        began = number
        if resumed := _RESUMED.fullmatch(text):
            if thread not in begun:
                continue  # it began before strace came
            began, head = begun.pop(thread)
            text = head + resumed[2]
        if text.endswith(_UNFINISHED):
            begun[thread] = (began, text.removesuffix(_UNFINISHED))
            continue
        call = _parse_call(thread, text, began, number)
        if call is not None:
            yield call


def _parse_call(thread: int, text: str, began: int, ended: int) -> Call | None:
    match = _CALL.fullmatch(text)
    if match is None:
        raise ValueError(f"line {ended + 1} is not a system call: {text[:80]!r}")
    name, arguments, result, rest = match.groups()
    if result == "?":
        return None  # the thread ended in it
    descriptor = _DESCRIPTOR.match(arguments)
    found = list(_STRING.finditer(arguments))
    error = _ERROR.match(rest)
    bare = _STRING.sub("", arguments[descriptor.end() :] if descriptor else arguments)
    return Call(
        thread=thread,
        name=name,
        began=began,
        ended=ended,
        descriptor=descriptor[2] if descriptor else "",
        strings=tuple(_decoded(one[1]) for one in found),
        numbers=tuple(int(one) for one in re.findall(r"(?<=, )\d+(?=,|$)", bare)),
        whole=not any(one[2] for one in found),
        result=int(result),
        error=error[1] if error else "",
        injected="(INJECTED)" in rest,
        flags=bare,
    )


def _decoded(text: str) -> bytes:
    """C escapes (octal, as short as possible) to octets."""
    if "\\" not in text:
        return text.encode("latin-1")
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")
