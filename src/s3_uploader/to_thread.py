"""Run blocking work in anyio's worker threads, which may have to be waited for."""

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
"""Seconds between the attempts to start a thread: other work may end meanwhile."""

_MAX_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Threads at once, as in asyncio's default executor. What waits for a thread is short or CPU-bound,
and each idle thread is one that the sending of bodies cannot have."""

_limiter_of_loop: RunVar[anyio.CapacityLimiter] = RunVar("s3_uploader.to_thread")


async def run_sync(work: Callable[[*Args], T], *args: *Args, abandon_on_cancel: bool = False) -> T:
    """Return `work(*args)`, run in a worker thread.

    asyncio's default executor is not used: it accepts no work once the main thread has ended,
    although a program's last thread may still upload.

    Args:
        work: what to run.
        args: its arguments.
        abandon_on_cancel: whether a cancellation abandons the thread or waits for it.

    Raises:
        ResourceError: no thread could be started, or `work` ran out of descriptors or memory.
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
            # Work that began may have taken effect, and a generator that failed seems exhausted.
            if wait is None or begun or shortage.fatal:
                raise shortage from error
        # Work that cannot have a new thread waits for one of the running ones.
        limiter.total_tokens = max(1, limiter.borrowed_tokens)
        await anyio.sleep(wait)
    raise AssertionError("unreachable: the last round returns or raises")


def _limiter() -> anyio.CapacityLimiter:
    try:
        return _limiter_of_loop.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_MAX_THREADS)
        _limiter_of_loop.set(limiter)
        return limiter
