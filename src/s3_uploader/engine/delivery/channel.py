"""One bounded queue of events, one dispatcher that hands them to the consumers in order."""

import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel

from s3_uploader.events import Event

Consumer = Callable[[Event], Awaitable[None] | None]
"""A function that gets each event in order, on the event loop; it may be a coroutine function.

A slow consumer slows the call down (back-pressure). An error that it raises is logged, no more.
"""

CAPACITY = 1024
"""Queue size at which `emit` waits for the dispatcher."""

_BATCH = 64
"""Events handed over before other tasks get their turn."""

_logger = logging.getLogger("s3_uploader")


class Channel:
    """The queue into which workers put events.

    It is no memory object stream: two events a file pass through it, and the stream's checkpoint at
    every one cost as much as sending the file.
    """

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._filled = anyio.Event()
        self._drained = anyio.Event()
        self._closed = False

    async def emit(self, event: Event) -> None:
        """Put an event; waits while the dispatcher is too far behind."""
        while len(self._events) >= CAPACITY and not self._closed:
            self._drained = anyio.Event()
            await self._drained.wait()
        self._events.append(event)
        self._filled.set()

    def offer(self, event: Event) -> None:
        """Put an event that may be lost when the dispatcher is behind or gone: progress."""
        if len(self._events) < CAPACITY and not self._closed:
            self._events.append(event)
            self._filled.set()

    def close(self) -> None:
        """Let the dispatcher end once it has handed over what is left."""
        self._closed = True
        self._filled.set()

    async def dispatch(self, consumers: Sequence[Consumer]) -> None:
        """Hand the events to the consumers until the channel is closed and empty."""
        failed: set[int] = set()
        while True:
            for _ in range(min(_BATCH, len(self._events))):
                await _consume(self._events.popleft(), consumers, failed)
            self._drained.set()
            if self._events:
                await anyio.lowlevel.checkpoint()
            elif self._closed:
                return
            else:
                self._filled = anyio.Event()
                await self._filled.wait()


@asynccontextmanager
async def dispatching(consumers: Sequence[Consumer]) -> AsyncGenerator[Channel]:
    """Yield a channel; at the end of the block every event put into it has been consumed."""
    channel = Channel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(channel.dispatch, consumers)
        try:
            yield channel
        finally:
            channel.close()


async def _consume(event: Event, consumers: Sequence[Consumer], failed: set[int]) -> None:
    for number, consumer in enumerate(consumers):
        try:
            pending = consumer(event)
            if pending is not None:
                await pending
        except Exception:
            # The traceback once; a consumer that fails at every event must not flood.
            if number not in failed:
                failed.add(number)
                _logger.exception("an event consumer failed; the upload continues")
