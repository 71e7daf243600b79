"""The service's log: one line per event on standard error, as logfmt for people or as JSON. What comes from outside is escaped, so that
no peer can write lines of his own or speak to a terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import structlog

from mailwye.runtime.printable import escaped


def _printable(_logger: Any, _method: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every text without control characters; logfmt and JSON quote the rest themselves."""
    return {key: escaped(value) if isinstance(value, str) else value for key, value in event.items()}


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
        logger_factory=structlog.WriteLoggerFactory(file=_StandardError()),  # type: ignore[arg-type]  # it needs write and flush only
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Forwarding()], level=logging.WARNING, force=True)


def logger(part: str) -> Any:
    """A logger for one part: `log.info("listening", listener="mx", address="…")`."""
    return structlog.get_logger(part=part)


def report_internal_errors(log: Any) -> None:
    """Let what breaks in a callback of the running loop, where nobody catches it, become one line of `log`, not a page."""

    def report(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.error("internal error", what=context.get("message", ""), error=repr(error) if error is not None else "", where=_where(error))

    asyncio.get_running_loop().set_exception_handler(report)


def _where(error: BaseException | None) -> str:
    """The innermost calls, nearest first: `acceptance.py:120 finish, dialogue.py:150 _hand_over`."""
    frames = traceback.extract_tb(error.__traceback__ if error is not None else None)[-3:]
    return ", ".join(f"{os.path.basename(frame.filename)}:{frame.lineno} {frame.name}" for frame in reversed(frames))


class _StandardError:
    """Standard error that never raises: a log on a full disk, or a reader that is gone, must not stop the mail."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


class _Forwarding(logging.Handler):
    """What libraries tell the logging module, in our form."""

    def emit(self, record: logging.LogRecord) -> None:
        logger(record.name).warning(record.getMessage())
