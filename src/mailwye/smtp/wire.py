"""Octets of the wire, shared by both sides: command lines in, dot-stuffing out and in, and what must be known about content.

Strategy: one pass of C code over large pieces (`find`, `count`, `replace`), never a Python loop over lines; what may continue in the
next piece (a CR, a CR LF, a CR LF dot) is carried over, so the result does not depend on how the network cut the octets.
Only CR LF ends a line, and only CR LF . CR LF ends content (RFC 5321 sections 2.3.8 and 4.1.1.4): that is what stops smuggling (W1).
"""

from __future__ import annotations

from io import IncrementalNewlineDecoder

LINE_LIMIT = 998  # octets of a text line without CR LF, RFC 5322 section 2.1.1
AUTH_LINE_LIMIT = 12_288  # octets of a line of AUTH, RFC 4954 section 4
END_OF_DATA = b".\r\n"
HEADER_WINDOW = 8_192  # octets in which the end of a header section is looked for first
_CLEAN = (None, "\r\n")  # the kinds of line end in text without bare ones
_DOTS_TRIED = 256  # of long content, one by one, before its line ends are looked through instead
_TAILS = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")  # beginnings of CR LF . CR LF, longest first


class LineFault(Exception):
    """A command line that is not one: too long, or ended by a bare LF. The rest up to the next CR LF is being skipped."""

    def __init__(self, limit: int) -> None:
        """`limit`: the one that the line passed, 0 for a bare LF."""
        super().__init__("line too long" if limit else "bare LF")
        self.limit = limit


class InputBuffer:
    """Octets that came and were not used yet, `left` of them. Holds at most one line, or what the driver fed while an answer was due."""

    __slots__ = ("_at", "_data", "_skipping", "left")

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._skipping = False
        self.left = 0

    def add(self, data: bytes) -> None:
        """Take octets."""
        if self.left:
            self._data = self._data[self._at :] + data
        else:
            self._data = data  # the common case, one command at a time: no copy
        self._at = 0
        self.left = len(self._data)

    def take_all(self) -> bytes:
        """Everything, at once."""
        data = self._data[self._at :] if self._at else self._data
        self._data, self._at, self.left = b"", 0, 0
        return data

    def take(self, octets: int) -> bytes:
        """Up to that many octets."""
        if octets >= self.left:
            return self.take_all()
        start = self._at
        self._at += octets
        self.left -= octets
        return self._data[start : self._at]

    def take_line(self, limit: int) -> bytes | None:
        """The next line without its CR LF, None when it is not complete. `limit` counts the CR LF; lines that begin with AUTH may have
        AUTH_LINE_LIMIT (RFC 4954 section 4).

        :raises LineFault: the same fault at the same octet however the octets are cut.
        """
        if self._skipping and not self._skip():
            return None
        data, start = self._data, self._at
        if start >= len(data):
            return None
        end = data.find(b"\n", start, start + limit)
        if end < 0:
            if len(data) - start < limit:
                return None
            if limit < AUTH_LINE_LIMIT and data[start : start + 5].upper() == b"AUTH ":
                return self.take_line(AUTH_LINE_LIMIT)
            raise self._fault(start + limit, limit)
        if end == start or data[end - 1] != 13:
            raise self._fault(end + 1, 0)
        self._at = end + 1
        self.left = len(data) - self._at
        return data[start : end - 1]

    def _fault(self, seen: int, limit: int) -> LineFault:
        self._at = seen
        self._skipping = True
        self._skip()
        return LineFault(limit)

    def _skip(self) -> bool:
        """Drop the rest of a bad line. True when its CR LF was found."""
        end = self._data.find(b"\r\n", max(self._at - 1, 0))
        if end >= 0:
            self._at = end + 2
            self._skipping = False
        else:
            self._data = b"\r" if self._data.endswith(b"\r") else b""
            self._at = 0
        self.left = len(self._data) - self._at
        return end >= 0


class DotReader:
    """Content of DATA: octets of the wire → content without dot-stuffing, up to CR LF . CR LF (RFC 5321 section 4.5.2)."""

    __slots__ = ("_carry", "_primed", "ended", "rest", "unstuffed")

    def __init__(self) -> None:
        # The content follows the CR LF of the DATA line, so ".CR LF" at once is its end: begin as if that CR LF had just come.
        self._carry = b"\r\n"
        self._primed = True
        self.ended = False
        self.rest = b""  # what came after the end
        self.unstuffed = False  # a line of the content began with a dot

    def feed(self, data: bytes) -> bytes:
        """The next piece of content, perhaps empty; never cut between CR and LF."""
        if self._primed and self._carry == b"\r\n" and data[:1] not in b".":
            self._carry, self._primed = b"", False  # no dot begins the content, so nothing depends on the CR LF before it
        buffer = self._carry + data if self._carry else data
        dot = _first_line_dot(buffer)
        end = buffer.find(b"\r\n.\r\n", dot) if dot >= 0 else -1
        if end >= 0:
            self.ended = True
            self.rest = buffer[end + 5 :]
            stop = end + 2
        else:
            stop = len(buffer) - _tail(buffer)
            self._carry = buffer[stop:]
        piece = buffer[:stop]
        if 0 <= dot < stop and dot != end:
            piece = piece.replace(b"\r\n.", b"\r\n")
            self.unstuffed = True
        if self._primed and stop >= 2:
            piece = piece[2:]
            self._primed = False
        return piece


def _first_line_dot(buffer: bytes) -> int:
    """Where the first CR LF . is, -1 where there is none.

    One octet is found a hundred times faster than three: long content that holds few dots (most of what is attached) costs next to
    nothing, other content as much as without this.
    """
    at = -1
    if len(buffer) > 16_384:
        for _ in range(_DOTS_TRIED):
            at = buffer.find(b".", at + 1)
            if at < 0:
                return -1
            if buffer[at - 1] == 10 and buffer[at - 2 : at] == b"\r\n":
                return at - 2
    return buffer.find(b"\r\n.", max(at, 0))


def _tail(buffer: bytes) -> int:
    """How many octets at the end may be the beginning of CR LF . CR LF."""
    if buffer[-1:] not in b"\r\n.":  # true for the empty buffer too, where the loop finds nothing
        return 0
    for tail in _TAILS:
        if buffer.endswith(tail):
            return len(tail)
    return 0


def has_bare_line_end(data: bytes) -> bool:
    """True where a CR or LF stands alone. A CR at the very end of `data` counts as alone."""
    return _has_bare_line_end(data.decode("latin-1"))


def _has_bare_line_end(text: str) -> bool:
    """The same of octets that were decoded as Latin-1."""
    # The decoder notes which line ends it met: one pass of C code, four to seven times as fast as counting CR, LF and CR LF.
    decoder = IncrementalNewlineDecoder(None, translate=False)
    decoder.decode(text, final=True)
    return decoder.newlines not in _CLEAN


def normalise_line_ends(data: bytes) -> bytes:
    """Every bare CR and bare LF → CR LF (W2). For whole content, or pieces that are not cut between CR and LF."""
    if not has_bare_line_end(data):
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


class DotWriter:
    """Content → octets for DATA: dots stuffed, every line end CR LF, the final dot after a complete line (RFC 5321 section 4.5.2).

    Bare CR and LF become CR LF first, so that no next hop can see an end of data where we see none (W2). `plain`: all of that was found
    out when the content came in (ContentEnded.plain), so it leaves as it is.
    """

    __slots__ = ("_carry", "_line_start", "_plain")

    def __init__(self, *, plain: bool = False) -> None:
        self._line_start = True
        self._carry = b""
        self._plain = plain

    def feed(self, piece: bytes) -> bytes:
        """The octets to send for one piece of content, whatever its size and cut."""
        if self._plain:
            return piece
        if self._carry:
            piece = self._carry + piece
            self._carry = b""
        if piece.endswith(b"\r"):
            piece, self._carry = piece[:-1], b"\r"
        if not piece:
            return b""
        stuffed = normalise_line_ends(piece).replace(b"\r\n.", b"\r\n..")
        if self._line_start and stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        self._line_start = stuffed.endswith(b"\n")
        return stuffed

    def finish(self) -> bytes:
        """What ends the content: CR LF if the last line lacks it, then the dot."""
        if self._carry:
            return b"\r\n.\r\n"
        return END_OF_DATA if self._line_start else b"\r\n.\r\n"


class ContentInspector:
    """What is learnt about content while it passes: size, the header's size, bare line ends, 8-bit octets, NUL, long lines.

    `refusal` is "" until a limit is passed: "too_large", "header_too_large" or "bare_line_end". From then on `take` returns nothing.
    """

    __slots__ = (
        "_binary",
        "_carry",
        "_header",
        "_header_limit",
        "_line",
        "_normalise",
        "_size_limit",
        "eight_bit",
        "has_nul",
        "long_lines",
        "normalised",
        "refusal",
        "size",
    )

    def __init__(self, *, size_limit: int, header_limit: int, bare_line_end: str, binary: bool = False) -> None:
        self.size = 0
        self.eight_bit = False
        self.has_nul = False
        self.long_lines = False
        self.normalised = False  # line ends were changed
        self.refusal = ""
        self._size_limit = size_limit
        self._header_limit = header_limit
        self._header: bytes | None = b"\r\n"  # the last octets of the header so far; None once its end was seen
        self._line = 0  # octets of the line that the last piece left open
        self._normalise = bare_line_end == "normalise"
        self._binary = binary  # BODY=BINARYMIME: CR and LF are octets like others (RFC 3030 section 3)
        self._carry = b""

    def take(self, piece: bytes) -> bytes:
        """Inspect the next piece; the octets to keep (line ends normalised where so configured)."""
        if self._carry:
            piece = self._carry + piece
            self._carry = b""
        if self._binary:
            ascii_only = piece.isascii()
        else:
            if piece.endswith(b"\r"):  # its LF may come, or it is bare
                piece, self._carry = piece[:-1], b"\r"
            text = piece.decode("latin-1")
            ascii_only = text.isascii()  # text knows it, octets would be looked through once more
            if _has_bare_line_end(text):
                if not self._normalise:
                    self._refuse("bare_line_end")
                    return b""
                piece = normalise_line_ends(piece)
                self.normalised = True
        if self.refusal or not piece:
            return b""
        if not ascii_only:
            self.eight_bit = True
        return self._measure(piece)

    def finish(self) -> bytes:
        """The end of the content: the last octets to keep, mostly none."""
        if self._line > LINE_LIMIT:
            self.long_lines = True
        if not self._carry or self.refusal:
            return b""
        self._carry = b""
        if not self._normalise:
            self._refuse("bare_line_end")
            return b""
        self.normalised = True
        return self._measure(b"\r\n")

    def _measure(self, piece: bytes) -> bytes:
        self.size += len(piece)
        if self.size > self._size_limit:
            self._refuse("too_large")
            return b""
        if self._header is not None and not self._header_fits(piece):
            self._refuse("header_too_large")
            return b""
        if not self.has_nul and b"\0" in piece:
            self.has_nul = True
        if not self.long_lines:
            self._look_for_long_lines(piece)
        return piece

    def _refuse(self, reason: str) -> None:
        if not self.refusal:
            self.refusal = reason

    def _header_fits(self, piece: bytes) -> bool:
        """Look for the empty line that ends the header; False when the limit comes first."""
        if self.size == len(piece) and piece[:2] != b"\r\n":  # mostly the whole header comes at once, and there is one
            end = piece.find(b"\r\n\r\n", 0, HEADER_WINDOW)
            if end >= 0:
                self._header = None
                return end + 4 <= self._header_limit
        before = self._header or b""
        joined = before + piece[:HEADER_WINDOW]
        end = joined.find(b"\r\n\r\n")
        if end < 0 and len(piece) > HEADER_WINDOW:
            joined = before + piece
            end = joined.find(b"\r\n\r\n", HEADER_WINDOW - 3)
        header_size = self.size - len(piece) - len(before) + (end + 4 if end >= 0 else len(joined))
        self._header = None if end >= 0 else joined[-3:]
        return header_size <= self._header_limit

    def _look_for_long_lines(self, piece: bytes) -> None:
        """Jump from line end to line end in steps as wide as a line may be: about a thousandth of the octets are looked at."""
        window = LINE_LIMIT + 2
        start, total = -self._line, len(piece)
        if start < 0 and total - start > window:  # the line that the last piece left open
            start = piece.rfind(b"\n", 0, max(start + window, 0)) + 1
            if not start:
                self.long_lines = True
                return
        find = piece.rfind
        while total - start > window:
            end = find(b"\n", start, start + window)
            if end < 0:
                self.long_lines = True
                return
            start = end + 1
        if piece.endswith(b"\n"):
            self._line = 0
            return
        last = find(b"\n", max(start, 0))
        self._line = total - (last + 1 if last >= 0 else start)
