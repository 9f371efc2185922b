"""Run blocking work in a worker thread of the event loop: anyio's, where one can be had."""

import os
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

from s3_uploader.shortage import shortage_of

T = TypeVar("T")
Args = TypeVarTuple("Args")

_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between the tries to get a thread: another's work may end meanwhile."""

_MOST = min(32, (os.cpu_count() or 1) + 4)
"""Threads at once, as in asyncio's default executor. What waits for a thread is short, or keeps a
processor busy; and a thread that is idle is one that the sending of bodies cannot have."""

_of_loop: RunVar[anyio.CapacityLimiter] = RunVar("s3_uploader.to_thread")


async def run_sync(work: Callable[[*Args], T], *args: *Args, abandon_on_cancel: bool = False) -> T:
    """Return `work(*args)`, run in a worker thread.

    Never in asyncio's default executor, which takes no work once the main thread has ended, though
    a program's last thread may still upload.

    Args:
        work: what to run.
        args: its arguments.
        abandon_on_cancel: whether a cancellation leaves the thread to itself, or waits for it.

    Raises:
        ResourceError: no thread could be started, or `work` lacked descriptors or memory.
    """
    begun: list[bool] = []
    limiter = _limiter()

    def begin() -> T:
        begun.append(True)
        return work(*args)

    for wait in (*_WAITS, None):
        try:
            return await anyio.to_thread.run_sync(
                begin, abandon_on_cancel=abandon_on_cancel, limiter=limiter
            )
        except (OSError, RuntimeError, MemoryError) as error:
            shortage = shortage_of(error)
            if shortage is None:
                raise
            # What has begun may have taken effect, and a walk that failed would seem to have ended.
            if wait is None or begun or shortage.fatal:
                raise shortage from error
        # What cannot have a thread of its own waits for one of the others'.
        limiter.total_tokens = max(1, limiter.borrowed_tokens)
        await anyio.sleep(wait)
    raise AssertionError("unreachable: the last round returns or raises")


def _limiter() -> anyio.CapacityLimiter:
    try:
        return _of_loop.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_MOST)
        _of_loop.set(limiter)
        return limiter
