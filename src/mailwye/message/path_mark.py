"""The signed path mark (SEMANTICS section 10): which ways a message took through this installation, for us to recognize and for nobody else
to read.

    X-Mailwye-Path: v=1;i=K3J4X2Q7;r=0; s=<steps>; h=<signature>

One mark is written whenever a message leaves for another server. `i` names the installation, `r` counts the Received lines that were
removed when it left, each of `s` stands for one step: the way in, the way out and the recipient. Steps are keyed hashes: they hold no name,
and whoever lacks the installation's secret can neither read, nor make, nor compare them. Keyed BLAKE2b is a MAC by itself (RFC 7693
section 2.9).
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from collections.abc import Sequence
from hashlib import blake2b

from mailwye.message.headers import Field, Header
from mailwye.smtp.reply import Reply
from mailwye.value import dataclass

FIELD_NAME = b"x-mailwye-path"
MARKS_READ = 64
"""Fields of that name that are looked at in one message: more than the hop limit lets come together honestly."""

STEPS_LIMIT = 128
"""Steps of one mark: more than one transaction has recipients (outbound/parts.RECIPIENTS_PER_WORK)."""

REMOVED_LIMIT = 1_000
"""Removed Received lines that one mark counts."""

MESSAGE_ID_CHARACTERS = 998
"""How much of a Message-ID counts: one line (RFC 5322 section 2.1.1)."""

STEP_DIGITS = 16
"""Hexadecimal digits of a step in a mark: 64 bits."""

_FIELD_OCTETS = 4_096  # a mark of STEPS_LIMIT steps, folded, is shorter
_STEPS_IN_A_LINE = 4
# Fewer steps are filled up with ones that mean nothing, so that a mark does not tell of blind copies that went the same way (RFC 5321
# section 7.2).
_SIZES = (4, 16, 64, STEPS_LIMIT)
_HASH_OCTETS = 32  # of a step: the step itself, and three to fill up with
_SIGNATURE_OCTETS = 16
_MARK = re.compile(
    r"v=1;i=([A-Z2-7]{8});r=([0-9]{1,4});s=([0-9a-f]{16}(?:,[0-9a-f]{16}){3,127});h=([0-9a-f]{32})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """An authentic mark of this installation. `start`: the offset of its field. `removed`: Received lines that it counts.

    `steps`: empty where somebody resent the message since (RFC 5322 section 3.6.6): that is a new sending, which may take old ways.
    """

    start: int
    removed: int
    steps: frozenset[str]


class PathMarks:
    """Writes and reads the marks of one installation. `secret`: at least 16 octets that nobody else knows."""

    __slots__ = ("_signing", "_stepping", "installation")

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("the installation's secret is too short")
        key = blake2b(secret, digest_size=32, person=b"mailwye path").digest()
        self.installation = b32encode(blake2b(b"", digest_size=5, key=key, person=b"installation").digest()).decode("ascii")
        # Copies of these are cheaper than to set the key anew for every message.
        self._stepping = blake2b(digest_size=_HASH_OCTETS, key=key, person=b"step")
        self._signing = blake2b(digest_size=_SIGNATURE_OCTETS, key=key, person=b"mark")

    def step(self, way_in: str, way_out: str, recipient: str, message_id: str) -> str:
        """One recipient's copy takes a way: 64 digits, of which a mark shows the first STEP_DIGITS. `way_in` as `way_in` gives it,
        `way_out` a Route's next_hop, `recipient` an address' key.

        `message_id` ties it to this message: a reply or another message that copied the header has taken no way yet.
        """
        hashing = self._stepping.copy()
        hashing.update(f"{way_in}\0{way_out}\0{recipient}\0{message_id}".encode())
        return hashing.hexdigest()

    def write(self, steps: Sequence[str], message_id: str, removed: int = 0) -> bytes:
        """The field for these steps, folded, with its CRLF; the first STEPS_LIMIT count."""
        shown = _shown(steps)
        head = f"v=1;i={self.installation};r={min(removed, REMOVED_LIMIT)}"
        signature = self._signature(f"{head};s={','.join(shown)}", message_id)
        if len(shown) <= _STEPS_IN_A_LINE:
            lines = ",".join(shown)
        else:
            lines = ",\r\n\t".join([",".join(shown[at : at + _STEPS_IN_A_LINE]) for at in range(0, len(shown), _STEPS_IN_A_LINE)])
        return f"X-Mailwye-Path: {head};\r\n\ts={lines};\r\n\th={signature}\r\n".encode("ascii")

    def read(self, header: Header) -> tuple[Mark, ...]:
        """The authentic marks of a header section, topmost (newest) first. Forged ones, and those of other messages, are nothing."""
        if not has_mark(header):
            return ()
        fields = [field for field in header.fields if field[0] == FIELD_NAME]
        message_id = message_id_of(header)
        resent = next((field.start for field in header.fields if field[0].startswith(b"resent-")), len(header.block))
        found = (self._read(header, field, message_id, resent) for field in fields[:MARKS_READ])
        return tuple(mark for mark in found if mark is not None)

    def of_others(self, header: Header) -> tuple[int, ...]:
        """The offsets of fields that have the form of another installation's mark. They say nothing to us, and stay for it to read."""
        fields = [field for field in header.fields if field[0] == FIELD_NAME][:MARKS_READ]
        found = ((field.start, _parse(header, field)) for field in fields)
        return tuple(start for start, match in found if match is not None and match[1] != self.installation)

    def _read(self, header: Header, field: Field, message_id: str, resent: int) -> Mark | None:
        match = _parse(header, field)
        if match is None or match[1] != self.installation:
            return None
        signed = match[0][: match[0].rindex(";h=")]
        if not hmac.compare_digest(self._signature(signed, message_id), match[4]) or int(match[2]) > REMOVED_LIMIT:
            return None
        steps = frozenset(match[3].split(",")) if field.start < resent else frozenset[str]()
        return Mark(field.start, int(match[2]), steps)

    def _signature(self, text: str, message_id: str) -> str:
        hashing = self._signing.copy()
        hashing.update(f"{text}\0{message_id}".encode())
        return hashing.hexdigest()


def _shown(steps: Sequence[str]) -> list[str]:
    """What a mark shows of `steps`, filled up with other digits of them, in an order that tells nothing."""
    counted = steps[:STEPS_LIMIT]
    size = next(size for size in _SIZES if size >= len(counted))
    digits = "".join([step[:STEP_DIGITS] for step in counted]) + "".join([step[STEP_DIGITS:] for step in counted])
    return sorted([digits[at : at + STEP_DIGITS] for at in range(0, size * STEP_DIGITS, STEP_DIGITS)])


def was_taken(marks: Sequence[Mark], step: str) -> bool:
    """Whether one of `marks` says that the message took this step before."""
    return any(step[:STEP_DIGITS] in mark.steps for mark in marks)


def _parse(header: Header, field: Field) -> re.Match[str] | None:
    """What has the form of a mark. White space may have changed on the way, where somebody folded the line again."""
    if field.end - field.start > _FIELD_OCTETS:
        return None
    return _MARK.fullmatch(re.sub(r"[ \t]", "", header.value(field)))


def has_mark(header: Header) -> bool:
    """Whether there is anything to read: of most messages there is not."""
    return FIELD_NAME in header.names


def message_id_of(header: Header) -> str:
    """The first Message-ID as marks, queue and trace know it."""
    return header.get("Message-ID")[:MESSAGE_ID_CHARACTERS]


def way_in(caller_kind: str, connector: str) -> str:
    """How a message came in, as steps name it: the inbound connector, or else the kind of the caller (queue/item.Origin)."""
    return f"connector:{connector}" if connector else caller_kind


def loop_reply(what: str, inbound: str, outbound: str) -> Reply:
    """554 5.4.14 (SEMANTICS section 10). `what`: how it was noticed. `inbound`, `outbound`: names of connectors, "" for none."""
    came = f'inbound connector "{inbound}"' if inbound else "no inbound connector"
    goes = f'outbound connector "{outbound}"' if outbound else "no outbound connector"
    return Reply(554, "5.4.14", f"{HOPS}: {what}. Way in: {came}; way out: {goes}")


HOPS = "Hop count exceeded - possible mail loop"
"""Exchange's words."""

TAKEN_BEFORE = "it took this way through this installation before and is back"
"""`what` of loop_reply where a path mark says so."""
