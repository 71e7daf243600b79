"""The receiving side's transitions as data: {state: {input: next state}}.

Read a row as: in this state these inputs are legal, and this is the state when they succeed. A refused command changes nothing.
A verb that a row does not name is out of sequence: 503 5.5.1 (RFC 5321 section 4.1.4). docs/smtp-states.md is drawn from this table.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where the session stands."""

    GREETING = "greeting"  # connected; the peer must wait for our 220
    HELLO = "hello"  # greeted; EHLO or HELO must come
    READY = "ready"  # no transaction is open
    MAIL = "mail"  # the sender was accepted
    RCPT = "rcpt"  # at least one recipient was accepted
    CONTENT = "content"  # content of DATA is on its way, or waits for its verdict
    CHUNKS = "chunks"  # content of BDAT is on its way, or waits for its verdict
    CHUNKS_REFUSED = "chunks_refused"  # a chunk was refused; the rest of that message is not wanted (RFC 3030 section 2)
    AUTH = "auth"  # the next line is a SASL response
    HANDSHAKE = "handshake"  # 220 to STARTTLS was said
    ENDED = "ended"


class Input(StrEnum):
    """What moves the machine: the verbs, and four things that are none."""

    EHLO = "EHLO"
    HELO = "HELO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BDAT = "BDAT"
    RSET = "RSET"
    NOOP = "NOOP"
    VRFY = "VRFY"
    EXPN = "EXPN"
    HELP = "HELP"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    XCLIENT = "XCLIENT"
    QUIT = "QUIT"
    GREETED = "(greeted)"
    CONTENT_ENDED = "(content ended)"
    CHUNK_REFUSED = "(chunk refused)"
    AUTH_ENDED = "(auth ended)"
    TLS_STARTED = "(tls started)"


VERBS = tuple(verb for verb in Input if not verb.startswith("("))


def _always(state: State) -> dict[Input, State]:
    """What every state between two commands allows: it stays what it is, or ends."""
    staying = dict.fromkeys((Input.NOOP, Input.VRFY, Input.EXPN, Input.HELP), state)
    return {**staying, Input.QUIT: State.ENDED}


def _within_transaction(state: State) -> dict[Input, State]:
    """RSET, EHLO and HELO end an open transaction (RFC 5321 sections 4.1.1.5 and 4.1.4)."""
    return {**_always(state), Input.RSET: State.READY, Input.EHLO: State.READY, Input.HELO: State.READY}


TRANSITIONS: dict[State, dict[Input, State]] = {
    State.GREETING: {Input.GREETED: State.HELLO},
    State.HELLO: {
        **_always(State.HELLO),
        Input.RSET: State.HELLO,
        Input.EHLO: State.READY,
        Input.HELO: State.READY,
        Input.XCLIENT: State.HELLO,
    },
    State.READY: {
        **_within_transaction(State.READY),
        Input.MAIL: State.MAIL,
        Input.STARTTLS: State.HANDSHAKE,
        Input.AUTH: State.AUTH,
        Input.XCLIENT: State.HELLO,
        Input.AUTH_ENDED: State.READY,
    },
    State.MAIL: {**_within_transaction(State.MAIL), Input.RCPT: State.RCPT},
    State.RCPT: {
        **_within_transaction(State.RCPT),
        Input.RCPT: State.RCPT,
        Input.DATA: State.CONTENT,
        Input.BDAT: State.CHUNKS,
        Input.CHUNK_REFUSED: State.CHUNKS_REFUSED,
    },
    State.CONTENT: {Input.CONTENT_ENDED: State.READY},
    State.CHUNKS: {
        **_within_transaction(State.CHUNKS),
        Input.BDAT: State.CHUNKS,
        Input.CONTENT_ENDED: State.READY,
        Input.CHUNK_REFUSED: State.CHUNKS_REFUSED,
    },
    State.CHUNKS_REFUSED: {**_within_transaction(State.CHUNKS_REFUSED), Input.CONTENT_ENDED: State.READY},
    State.AUTH: {Input.AUTH_ENDED: State.READY},
    State.HANDSHAKE: {Input.TLS_STARTED: State.HELLO},
    State.ENDED: {},
}

IN_TRANSACTION = frozenset({State.MAIL, State.RCPT, State.CONTENT, State.CHUNKS, State.CHUNKS_REFUSED})

# What to do first, for the text of 503.
REMEDY: dict[State, str] = {
    State.HELLO: "say EHLO first",
    State.READY: "say MAIL FROM first",
    State.MAIL: "a transaction is open and needs a valid recipient; RSET ends it",
    State.RCPT: "a transaction is open; send DATA or BDAT, or RSET to end it",
    State.CHUNKS: "the message came by BDAT so far; send BDAT or RSET",
    State.CHUNKS_REFUSED: "the message was refused; send RSET",
}


def draw() -> str:
    """The table as Markdown, for docs/smtp-states.md."""
    lines = ["| state | input | next state |", "|---|---|---|"]
    lines += [f"| {state} | {given} | {following} |" for state, row in TRANSITIONS.items() for given, following in row.items()]
    return "\n".join(lines) + "\n"
