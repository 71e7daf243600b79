"""The characters of PowerShell: space, comments, quotes, names. A position in the text that only moves forward."""

from __future__ import annotations

import re
import sys

from mailwye.cmdlets.syntax import Complaint, Source
from mailwye.config.exchange.powershell import DASHES, DOUBLE, SINGLE

QUOTES = SINGLE + DOUBLE

_BLANK = " \t\v\f\u0085\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_SPACE = re.compile(f"[{_BLANK}]*")
_LINES = re.compile(f"[{_BLANK}\r\n]*")
_NEWLINE = re.compile("\r\n|\r|\n")
_CONTINUED = re.compile("`(?:\r\n|\r|\n)")
_NOT_CONTINUED = re.compile(f"`[{_BLANK}]+(?=[\r\n]|\\Z)")
_LINE_REST = re.compile("[^\r\n]*")
_COMMENT_END = re.compile("#>")
_PROMPT = re.compile(r"(?:\[PS\]|PS)[ \t]+[^>\r\n|;'\"]{0,200}>[ \t]*", re.IGNORECASE)
_WORD_PART = re.compile(f"[^\\s{_BLANK}{{}}();,|&`${QUOTES}]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = re.compile(f"[{DASHES}]([A-Za-z_?][^\\s{_BLANK}{{}}();,|&.\\[:{QUOTES}]*)(:?)")
_HERE_START = re.compile(f"@([{QUOTES}])[{_BLANK}]*(?:\r\n|\r|\n)")
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f\x80-\x84\x86-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")

_CODE = re.compile(r"`u\{([0-9A-Fa-f]{1,6})\}")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b"}


class Scanner:
    """`at` is the position. Every method begins there and leaves it behind what it took."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.at = 1 if self.text.startswith("\ufeff") else 0

    def peek(self, ahead: int = 0) -> str:
        """The character `ahead` of the position; "" at the end."""
        return self.text[self.at + ahead : self.at + ahead + 1]

    def skip(self, *, newlines: bool = False) -> None:
        """Space, comments, continued lines; with `newlines` line ends too."""
        text = self.text
        space = _LINES if newlines else _SPACE
        while True:
            self.at = space.match(text, self.at).end()  # type: ignore[union-attr]  # * always matches
            one = text[self.at : self.at + 1]
            if one == "#":
                self.at = _LINE_REST.match(text, self.at).end()  # type: ignore[union-attr]  # * always matches
            elif one == "`" and (found := _CONTINUED.match(text, self.at)):
                self.at = found.end()
            elif one == "<" and text.startswith("<#", self.at):
                end = _COMMENT_END.search(text, self.at)
                if end is None:
                    raise Unreadable(self.at, "the comment <# has no end", "Close it with #>")
                self.at = end.end()
            else:
                return

    def take_pipe(self) -> bool:
        """A | here, or (PowerShell 7) at the beginning of a line that follows; nothing is taken otherwise."""
        at = self.at
        self.skip(newlines=True)
        if self.peek() == "|":
            self.at += 1
            return True
        self.at = at
        return False

    def after_backtick(self) -> None:
        """:raises Complaint: a backtick was to continue the line, but space stands behind it."""
        if _NOT_CONTINUED.match(self.text, self.at):
            raise Complaint(self.at, "space stands after the backtick, so the line does not go on", "Remove the space")

    def take_newline(self) -> bool:
        """One line end."""
        found = _NEWLINE.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found is not None

    def take(self, text: str) -> bool:
        """`text` itself."""
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def skip_prompt(self) -> None:
        """`PS C:/>` or `[PS] …>` in front of a line that was copied with it."""
        found = _PROMPT.match(self.text, self.at)
        if found:
            self.at = found.end()

    def skip_statement(self) -> None:
        """To the end of the line, and of those that continue it: where reading begins again after an error."""
        while self.at < len(self.text):
            start, self.at = self.at, _LINE_REST.match(self.text, self.at).end()  # type: ignore[union-attr]  # * always matches
            line = self.text[start : self.at].rstrip()
            self.take_newline()
            if not line.endswith(("`", "|", ",")):
                return

    def visible(self) -> None:
        """:raises Complaint: an invisible character stands here, which a copied text often brings along."""
        found = _INVISIBLE.match(self.text, self.at)
        if found:
            at, self.at = self.at, found.end()
            raise Complaint(at, f"there is an invisible character (U+{ord(found[0]):04X})", "Remove it")

    def parameter(self) -> tuple[str, bool] | None:
        """`-Name` → (name, whether a colon followed)."""
        found = _PARAMETER.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[1], bool(found[2])

    def name(self) -> str:
        """Letters, digits and _; "" where there is none."""
        found = _NAME.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def word_part(self) -> str:
        """Plain characters of a word, up to space, a delimiter, a quote, $ or `."""
        found = _WORD_PART.match(self.text, self.at)
        if found is None:
            return ""
        bad = _INVISIBLE.search(found[0])
        if bad:
            self.at += bad.start()
            self.visible()
        self.at = found.end()
        return found[0]

    def escape(self) -> str:
        """A backtick and what it stands for."""
        at, one = self.at, self.peek(1)
        named = _CODE.match(self.text, at)
        if named is None:
            self.at += 2
            return _ESCAPES.get(one, one)
        self.at = named.end()
        code = int(named[1], 16)
        if code > sys.maxunicode or 0xD800 <= code < 0xE000:
            raise Complaint(at, f"{named[0]} is no character", "Write the character itself")
        return chr(code)

    def single_quoted(self) -> str:
        """'text', with two quotes for one."""
        start = self.at
        pieces = []
        self.at += 1
        while True:
            end = _SINGLE_END.search(self.text, self.at)
            if end is None:
                raise Unreadable(start, "the quote has no end", "Close it; a quote inside is written twice")
            pieces.append(self.text[self.at : end.start()])
            self.at = end.end()
            if not self.peek() or self.peek() not in SINGLE:
                return "".join(pieces)
            pieces.append(self.peek())
            self.at += 1

    def here_string(self) -> tuple[str, int, bool] | None:
        """@' … '@ or @" … "@ → (text without the line ends beside the quotes, where it begins, whether variables in it count)."""
        found = _HERE_START.match(self.text, self.at)
        if found is None:
            return None
        quotes = SINGLE if found[1] in SINGLE else DOUBLE
        end = _HERE_ENDS[quotes].search(self.text, found.end() - 1)
        if end is None:
            raise Unreadable(self.at, "the here-string has no end", f"Close it with {quotes[0]}@ at the beginning of a line")
        start = found.end()
        self.at = end.end()
        return self.text[start : max(start, end.start())], start, quotes is DOUBLE


class Unreadable(Complaint):
    """What follows cannot be told apart any more: the rest of the text is not read."""


_SINGLE_END = re.compile(f"[{SINGLE}]")
_HERE_ENDS = {quotes: re.compile(f"(?:\r\n|\r|\n)[{quotes}]@") for quotes in (SINGLE, DOUBLE)}
