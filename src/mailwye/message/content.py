"""Message content: the octets between DATA and its end, CRLF lines, no dot-stuffing. Never edited in place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable


@runtime_checkable
class Content(Protocol):
    """A handle to content that is stored somewhere. `size` in octets."""

    @property
    def size(self) -> int:
        """Octets of the whole content."""
        ...

    @property
    def inline(self) -> bytes | None:
        """The whole content where it is small and at hand in memory, else None (then read `chunks`)."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The content in order, in pieces of at most 256 KiB; never all in memory at once."""
        ...


class InlineContent:
    """Content that is in memory: small messages, DSNs, tests."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Octets."""
        return len(self._data)

    @property
    def inline(self) -> bytes:
        """The octets themselves."""
        return self._data

    async def chunks(self) -> AsyncIterator[bytes]:
        """One piece (empty content: none)."""
        if self._data:
            yield self._data
