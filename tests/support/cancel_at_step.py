"""Cancel a call at its n-th step: its task, or a cancel scope of anyio around it."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel

from s3_uploader import UploadConfig, Uploader
from s3_uploader.testing.hooked import HookedStore, Moment, do_nothing

_NOW = UploadConfig(backoff_base=0)


class StepCounter:
    """A hook that acts at its `target`-th step; each call has two, a turn of the loop apart."""

    def __init__(self, target: int, act: Callable[[], object]) -> None:
        self.target = target
        self.act = act
        self.steps = 0

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.target:
            self.act()

    async def __call__(self, _moment: Moment) -> None:
        self._step()
        # As if the network took a turn of the loop: a cancellation can arrive in it.
        await anyio.lowlevel.checkpoint()
        self._step()


Work = Callable[[Uploader], Awaitable[object]]


async def cancel_task(store: HookedStore, work: Work, target: int) -> tuple[int, bool]:
    """Cancel the task of a call at its `target`-th step; return the steps and how it ended."""
    before = asyncio.all_tasks()
    async with Uploader(store=store, config=_NOW) as uploader:

        async def call() -> None:
            await work(uploader)

        task = asyncio.create_task(call())
        counter = StepCounter(target, task.cancel)
        store.hook = counter
        with anyio.fail_after(20):
            await asyncio.wait([task])
        store.hook = do_nothing
    assert asyncio.all_tasks() <= before
    return counter.steps, task.cancelled()


async def cancel_scope(store: HookedStore, work: Work, target: int) -> tuple[int, bool]:
    """As `cancel_task`, by the cancel scope of anyio."""
    before = asyncio.all_tasks()
    async with Uploader(store=store, config=_NOW) as uploader:
        with anyio.fail_after(20), anyio.CancelScope() as scope:
            counter = StepCounter(target, scope.cancel)
            store.hook = counter
            await work(uploader)
        store.hook = do_nothing
    assert asyncio.all_tasks() <= before
    return counter.steps, scope.cancelled_caught
