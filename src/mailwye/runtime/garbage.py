"""When Python looks for cycles among its objects. The service's own settings of that are in loops.py."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """No look for cycles within, in any thread; nested uses are fine. Where many objects are made that stay (settings: 120,000 are read in
    two thirds of the time), so that mail that flows beside waits for no pass over all of them.
    """
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()
