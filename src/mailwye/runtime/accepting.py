"""A listening server that does not spin while the kernel gives no connections.

When accept(2) fails for want of descriptors, buffers or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM), the connection stays in the kernel's
queue, so the listening socket stays readable, and libuv tries again at once and for ever: a core is lost, and nobody is told. This server
looks a few times a second whether connections wait while none was taken, and then leaves the socket alone for a moment. Connections wait
in the kernel meanwhile; none is refused, and nothing is done per connection but counting it.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Final

LOOK_SECONDS: Final = 0.25
LOOK_AGAIN_SECONDS: Final = 0.005  # just after a pause, when it is likely that nothing has changed
STRIKES: Final = 2  # looks in a row; between two of them the loop has tried to take a connection
PAUSE_SECONDS: Final = 1.0
BACKLOG: Final = 1024


class PausingServer:
    """Serves `listening`, a bound socket, which belongs to it from now on. `factory` makes the protocol of each connection."""

    def __init__(self, factory: Callable[[], asyncio.Protocol], listening: socket.socket) -> None:
        self._factory = factory
        self._listening = listening
        self._loop = asyncio.get_running_loop()
        self._poll = select.poll()
        self._poll.register(listening, select.POLLIN)
        self._server: asyncio.AbstractServer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._resuming: asyncio.Task[None] | None = None
        self._taken = 0
        self._taken_before = -1
        self._strikes = 0
        self._told = False
        self._closed = False

    async def start(self) -> None:
        """Accept connections. :raises OSError: the socket cannot listen."""
        await self._serve(LOOK_SECONDS)

    async def _serve(self, look_in: float) -> None:
        server = await self._loop.create_server(self._take, sock=self._listening.dup(), backlog=BACKLOG)
        if self._closed:
            server.close()
            return
        self._server = server
        self._look_in(look_in)

    def close(self) -> None:
        """Stop accepting; open connections live on. Harmless when repeated."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
            self._server = None
        self._listening.close()

    def _take(self) -> asyncio.Protocol:
        self._taken += 1
        return self._factory()

    def _look_in(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        if self._taken != self._taken_before or not self._poll.poll(0):
            self._taken_before = self._taken
            self._strikes = 0
            self._told = False
            self._look_in(LOOK_SECONDS)
            return
        self._strikes += 1
        if self._strikes < STRIKES:
            self._look_in(LOOK_AGAIN_SECONDS)
        else:
            self._pause()

    def _pause(self) -> None:
        if not self._told:
            self._told = True
            text = f"connections wait and none can be taken: out of descriptors or memory? Trying every {PAUSE_SECONDS:g} s"
            self._loop.call_exception_handler({"message": text})
        if self._server is not None:
            self._server.close()
            self._server = None
        self._timer = self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        self._resuming = self._loop.create_task(self._start_again())

    async def _start_again(self) -> None:
        if self._closed:
            return
        self._strikes = 0
        self._taken_before = self._taken
        try:
            await self._serve(LOOK_AGAIN_SECONDS)
        except OSError:  # not even a descriptor for the copy of the socket
            self._timer = self._loop.call_later(PAUSE_SECONDS, self._resume)
