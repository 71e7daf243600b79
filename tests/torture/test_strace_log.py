"""Lines of strace to values."""

from __future__ import annotations

import pytest

from torture.strace_log import Call, parse

LOG = r"""10 openat(AT_FDCWD</srv>, "/srv/queue/a.sqlite", O_RDWR|O_CREAT|O_CLOEXEC, 0640) = 20</srv/queue/a.sqlite>
11 pwrite64(20</srv/queue/a.sqlite>, "\0\1\377\0012 \"x\" \\ = 3\r\n", 17, 8192 <unfinished ...>
10 write(25<TCP:[127.0.0.2:25->127.0.0.1:54114]>, "250 2.0.0 Ok: queued as abc\r\n", 29) = 29
11 <... pwrite64 resumed>)           = 17
11 fdatasync(20</srv/queue/a.sqlite>) = -1 EIO (Input/output error) (INJECTED)
10 read(24<TCP:[127.0.0.2:25->127.0.0.1:54118]>,  <unfinished ...>
11 syscall_0x2000(0, 0x5622d7ede630, 0 <detached ...>
11 +++ exited with 0 +++
10 <... read resumed>"QUIT\r\n", 256000) = 6
10 writev(9<TCPv6:[[::1]:25->[::1]:7]>, [{iov_base="ab", iov_len=2}, {iov_base="cd"..., iov_len=9}], 2) = 3
10 ftruncate(20</srv/queue/a.sqlite>, 65536) = 0
10 write(2</dev/null>, "cut off
"""


def calls(text: str = LOG) -> list[Call]:
    return list(parse(text.splitlines(keepends=True)))


def test_calls_come_in_the_order_of_their_ends() -> None:
    assert [call.name for call in calls("".join(LOG.splitlines(keepends=True)[:-1]))] == [
        "openat",
        "write",
        "pwrite64",
        "fdatasync",
        "read",
        "writev",
        "ftruncate",
    ]


def test_a_call_that_others_interrupted_is_one() -> None:
    call = calls("".join(LOG.splitlines(keepends=True)[:-1]))[2]
    assert (call.thread, call.began, call.ended, call.descriptor) == (11, 1, 3, "/srv/queue/a.sqlite")
    assert call.data == b'\0\1\xff\0012 "x" \\ = 3\r\n'
    assert call.numbers == (17, 8192)
    assert call.whole


def test_results_errors_and_ends() -> None:
    opened, sent, _, synced, read, vector, cut = calls("".join(LOG.splitlines(keepends=True)[:-1]))
    assert (opened.result, opened.strings, "O_CREAT" in opened.flags) == (20, (b"/srv/queue/a.sqlite",), True)
    assert sent.ends == ("127.0.0.2:25", "127.0.0.1:54114")
    assert (synced.result, synced.error, synced.injected) == (-1, "EIO", True)
    assert read.data == b"QUIT\r\n"
    assert (vector.data, vector.whole, vector.ends) == (b"abc", False, ("[::1]:25", "[::1]:7"))
    assert cut.numbers == (65536,)


def test_a_last_line_without_its_end_is_left_out() -> None:
    assert len(calls('10 write(2</dev/null>, "x", 1) = 1\n10 write(2</dev/null>, "y')) == 1


@pytest.mark.parametrize("line", ["no number\n", "10 gibberish\n"])
def test_what_strace_does_not_write_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        calls(line)
