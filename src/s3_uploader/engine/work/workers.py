"""Workers over one source of work, as many as the limiter allows at any time."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from s3_uploader.engine.pacing.limiter import Limiter

T = TypeVar("T")


async def run_workers(
    next_item: Callable[[], Awaitable[T | None]],
    handle: Callable[[T], Awaitable[None]],
    limiter: Limiter,
) -> None:
    """Call `handle` with every item that `next_item` returns, until it returns None.

    A worker that finds work starts one more while the limit allows, so few files start few
    workers, and a limit that grows finds workers soon.
    """
    workers = 1
    ended = False
    watch = anyio.CancelScope()

    async with anyio.create_task_group() as tasks:

        def start_one_more() -> None:
            nonlocal workers
            if workers < limiter.limit and not ended:
                workers += 1
                tasks.start_soon(work)

        async def start_when_the_limit_grows() -> None:
            with watch:
                while True:
                    await limiter.wait_for_growth()
                    start_one_more()

        async def work() -> None:
            nonlocal ended
            while not ended:
                item = await next_item()
                if item is None:
                    ended = True
                    watch.cancel()
                    return
                start_one_more()
                await handle(item)

        tasks.start_soon(start_when_the_limit_grows)
        tasks.start_soon(work)
