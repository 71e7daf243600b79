"""Whether the content of a stored message is what was written."""

from __future__ import annotations

import apsw

from mailwye.storage.sqlite.queue_codec import CorruptRow, verify, verify_chunk
from mailwye.storage.sqlite.queue_schema import PLACE_BITS, PLACES

_CHUNKS = "SELECT id, checksum, data FROM chunk WHERE id >= ?1 << 20 AND id < (?1 + 1) << 20 ORDER BY id"


def check_content(connection: apsw.Connection, message_id: str, staging: int, checksum: int, content: bytes | None, size: int) -> list[str]:
    """What is wrong with the content of a message, as sentences; `size`: octets that it had when it was accepted.

    :raises apsw.Error: the file is damaged.
    """
    try:
        if not staging:
            found = len(verify(content, checksum, f"the content of message {message_id}"))
        else:
            found = _chunked_size(connection, staging)
    except CorruptRow as error:
        return [str(error)]
    return [] if found == size else [f"the content of message {message_id} has {found} octets of {size}"]


def _chunked_size(connection: apsw.Connection, staging: int) -> int:
    """Octets of all chunks. :raises CorruptRow: one is missing before another, or damaged."""
    size = 0
    for place, (number, checksum, data) in enumerate(connection.execute(_CHUNKS, (staging,))):
        if number & (PLACES - 1) != place:
            raise CorruptRow(f"chunk {place} of content {number >> PLACE_BITS} is gone")
        size += len(verify_chunk(data, checksum, number, f"chunk {place} of content {staging}"))
    return size
