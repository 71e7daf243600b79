"""The service's log: one line per event on standard error, as logfmt for people or as JSON. What comes from outside is escaped, so that
no peer can write lines of his own or speak to a terminal.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

import structlog

FORMATS = ("logfmt", "json")


def _printable(_logger: Any, _method: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every text without control characters; logfmt and JSON quote the rest themselves."""
    return {key: escaped(value) if isinstance(value, str) else value for key, value in event.items()}


def escaped(text: str) -> str:
    """`text` with everything unprintable (line ends, ESC, direction marks) written as an escape sequence."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode("ascii") for character in text)


def set_up(form: str = "") -> None:
    """Choose the form: "logfmt" (default) or "json"; the variable MAILWYE_LOG_FORMAT decides where none is given."""
    chosen = form or os.environ.get("MAILWYE_LOG_FORMAT", "logfmt")
    if chosen == "json":
        renderer: Any = structlog.processors.JSONRenderer(sort_keys=False)
    else:
        renderer = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _printable,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def logger(part: str) -> Any:
    """A logger for one part: `log.info("listening", listener="mx", address="…")`."""
    return structlog.get_logger(part=part)
