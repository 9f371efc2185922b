"""One bounded stream of events, one dispatcher that hands them to the consumers in order."""

import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from s3_uploader.events import Event

Consumer = Callable[[Event], Awaitable[None] | None]
"""Called with each event in order, on the event loop; may be a coroutine function.

A slow consumer slows the upload down (back-pressure). What it raises is logged and contained.
"""

Emit = Callable[[Event], Awaitable[None]]

CAPACITY = 1024
"""Events under way before emitting waits for the dispatcher."""

_logger = logging.getLogger("s3_uploader")


@asynccontextmanager
async def dispatching(consumers: Sequence[Consumer]) -> AsyncGenerator[Emit]:
    """Yield `emit`; at the end of the block every event emitted in it has been consumed."""
    send, receive = anyio.create_memory_object_stream[Event](CAPACITY)

    async def emit(event: Event) -> None:
        try:
            send.send_nowait(event)
        except anyio.WouldBlock:
            await send.send(event)

    # Closed here: cancelled early, the dispatcher may never begin.
    with receive:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_dispatch, receive, consumers)
            with send:
                yield emit


async def _dispatch(
    receive: MemoryObjectReceiveStream[Event], consumers: Sequence[Consumer]
) -> None:
    failed: set[int] = set()
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
