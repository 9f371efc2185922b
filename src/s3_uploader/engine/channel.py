"""One bounded stream of events, one dispatcher that hands them to the consumers in order."""

import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from s3_uploader.events import Event

Consumer = Callable[[Event], Awaitable[None] | None]
"""Called with each event in order, on the event loop; may be a coroutine function.

A slow consumer slows the upload down (back-pressure). What it raises is logged and contained.
"""

CAPACITY = 1024
"""Events under way before emitting waits for the dispatcher."""

_logger = logging.getLogger("s3_uploader")


class Channel:
    """Where workers put events."""

    def __init__(self, send: MemoryObjectSendStream[Event]) -> None:
        self._send = send

    async def emit(self, event: Event) -> None:
        """Put an event; waits while the dispatcher is too far behind."""
        try:
            self._send.send_nowait(event)
        except anyio.WouldBlock:
            await self._send.send(event)

    def offer(self, event: Event) -> None:
        """Put an event that may be lost when the dispatcher is behind or gone: progress."""
        with suppress(anyio.WouldBlock, anyio.ClosedResourceError, anyio.BrokenResourceError):
            self._send.send_nowait(event)


@asynccontextmanager
async def dispatching(consumers: Sequence[Consumer]) -> AsyncGenerator[Channel]:
    """Yield a channel; at the end of the block every event put into it has been consumed."""
    send, receive = anyio.create_memory_object_stream[Event](CAPACITY)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_dispatch, receive, consumers)
        with send:
            yield Channel(send)


async def _dispatch(
    receive: MemoryObjectReceiveStream[Event], consumers: Sequence[Consumer]
) -> None:
    failed: set[int] = set()
    with receive:
        async for event in receive:
            for number, consumer in enumerate(consumers):
                try:
                    pending = consumer(event)
                    if inspect.isawaitable(pending):
                        await pending
                except Exception:
                    # The traceback once; a consumer that fails at every event must not flood.
                    if number not in failed:
                        failed.add(number)
                        _logger.exception("an event consumer failed; the upload goes on")
