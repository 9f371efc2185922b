"""Cancelled at any instant, an upload leaves no task and no multipart upload behind."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from conftest import Bucket
from lanes import REAL_LANES, open_lane
from s3_uploader import FileOutcome, UploadConfig, Uploader, UploadFailedError
from s3_uploader.sizes import MIB
from s3_uploader.testing import LocalS3Server, MemoryStore
from s3_uploader.testing.hooked import TINY, HookedStore, Moment
from trees import make_tree

pytestmark = pytest.mark.anyio

_NOW = UploadConfig(backoff_base=0)


class StepCounter:
    """A hook that acts at its `target`-th step; every hook call and the turn after it is one."""

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
        # As if the network took a turn of the loop: a cancellation can arrive here.
        await anyio.lowlevel.checkpoint()
        self._step()


Work = Callable[[Uploader], Awaitable[object]]


async def _run_native(store: HookedStore, work: Work, target: int) -> tuple[int, bool]:
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
        store.hook = _quiet
    assert asyncio.all_tasks() <= before
    return counter.steps, task.cancelled()


async def _run_scope(store: HookedStore, work: Work, target: int) -> tuple[int, bool]:
    """As `_run_native`, by the cancel scope of anyio."""
    before = asyncio.all_tasks()
    async with Uploader(store=store, config=_NOW) as uploader:
        with anyio.fail_after(20), anyio.CancelScope() as scope:
            counter = StepCounter(target, scope.cancel)
            store.hook = counter
            await work(uploader)
        store.hook = _quiet
    assert asyncio.all_tasks() <= before
    return counter.steps, scope.cancelled_caught


async def _quiet(_moment: Moment) -> None:
    return


@pytest.mark.parametrize("run", [_run_native, _run_scope])
@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_cancelled_at_every_step_nothing_is_left(
    tmp_path: Path,
    kind: str,
    run: Callable[[HookedStore, Work, int], Awaitable[tuple[int, bool]]],
) -> None:
    content = make_tree(tmp_path, {"small": 10, "d/parts": 4_500, "d/more": 2_100})

    async def work(uploader: Uploader) -> object:
        if kind == "file":
            return await uploader.upload_file(tmp_path / "d/parts", "d/parts")
        return await uploader.upload_directory(tmp_path)

    steps, cancelled = await run(HookedStore(), work, -1)
    assert steps > 15
    assert not cancelled
    cancellations = 0
    for target in range(1, steps + 1):
        store = HookedStore()
        _, cancelled = await run(store, work, target)
        cancellations += cancelled
        assert store.memory.uploads == {}, f"left open by a cancellation at step {target}"
        assert store.in_flight == 0
        for key, data in store.memory.objects.items():
            assert data == content[key]
    assert cancellations > steps // 2


@pytest.mark.parametrize("lane", REAL_LANES)
async def test_cancelled_at_any_instant_a_real_store_keeps_nothing_open(
    lane: str, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    make_tree(tmp_path, {"f": 11 * MIB, "g": 6 * MIB})
    config = UploadConfig(
        part_size=5 * MIB, multipart_threshold=5 * MIB, ca_bundle=server.ca_bundle
    )

    async def work(uploader: Uploader) -> object:
        return await uploader.upload_directory(tmp_path, prefix)

    async with open_lane(lane, server, config=config) as inner:
        # Reach the store once, so that the instants are those of a warm client.
        steps, _ = await _run_native(HookedStore(inner), work, -1)
        assert steps > 20
        for target in range(1, steps + 1, 3):
            await _run_native(HookedStore(inner), work, target)
            assert bucket.open_uploads(prefix) == [], f"left open at step {target}"


async def test_a_create_under_way_is_awaited_and_undone(tmp_path: Path) -> None:
    """Cancelled between the store's acceptance and its answer: the id is still learned."""
    make_tree(tmp_path, {"f": 5_000})
    accepted, answer = asyncio.Event(), asyncio.Event()

    async def hook(moment: Moment) -> None:
        if (moment.when, moment.operation) == ("after", "CreateMultipartUpload"):
            accepted.set()
            await answer.wait()

    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        task = asyncio.create_task(uploader.upload_file(tmp_path / "f", "k"))
        with anyio.fail_after(10):
            await accepted.wait()
            task.cancel()
            await anyio.lowlevel.checkpoint()
            assert len(store.memory.uploads) == 1
            answer.set()
            await asyncio.wait([task])
    assert task.cancelled()
    assert store.memory.uploads == {}
    assert store.count("UploadPart") == 0


async def test_nothing_new_starts_after_a_cancellation(tmp_path: Path) -> None:
    """aioboto3 goes on sending; here the requests made are those made before."""
    make_tree(tmp_path, {f"{number:03}": 100 for number in range(50)})
    store = HookedStore()
    at_cancel = -1
    async with Uploader(store=store, config=_NOW) as uploader:
        task = asyncio.create_task(uploader.upload_directory(tmp_path))

        async def hook(_moment: Moment) -> None:
            nonlocal at_cancel
            if len(store.calls) >= 10 and at_cancel < 0:
                at_cancel = len(store.calls)
                task.cancel()
            await anyio.lowlevel.checkpoint()

        store.hook = hook
        with anyio.fail_after(10):
            await asyncio.wait([task])
        assert task.cancelled()
        # What had its token already may be counted; the other files may not.
        assert len(store.calls) <= at_cancel + TINY.requests


async def test_a_second_cancellation_does_not_break_the_abort(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 5_000})
    aborting, answer = asyncio.Event(), asyncio.Event()
    task: asyncio.Task[FileOutcome]

    async def hook(moment: Moment) -> None:
        if (moment.when, moment.operation) == ("chunk", "UploadPart"):
            task.cancel()
            await anyio.lowlevel.checkpoint()
        if (moment.when, moment.operation) == ("before", "AbortMultipartUpload"):
            aborting.set()
            await answer.wait()

    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        task = asyncio.create_task(uploader.upload_file(tmp_path / "f", "k"))
        with anyio.fail_after(10):
            await aborting.wait()
            task.cancel()
            await anyio.lowlevel.checkpoint()
            answer.set()
            await asyncio.wait([task])
    assert task.cancelled()
    assert store.memory.uploads == {}


@pytest.mark.parametrize("size", [10, 5_000])
async def test_leaving_the_uploader_ends_its_calls(tmp_path: Path, size: int) -> None:
    """The call raises UploadFailedError and nothing stays open."""
    make_tree(tmp_path, {"f": size})
    under_way = asyncio.Event()

    async def hook(moment: Moment) -> None:
        if moment.operation in {"PutObject", "UploadPart"}:
            under_way.set()
            await asyncio.Event().wait()

    store = HookedStore(hook=hook)
    with anyio.fail_after(10):
        async with Uploader(store=store, config=_NOW) as uploader:
            task = asyncio.create_task(uploader.upload_file(tmp_path / "f", "k"))
            await under_way.wait()
        with pytest.raises(UploadFailedError) as caught:
            await task
    assert caught.value.code == "upload.closed_early"
    assert store.memory.uploads == {}
    assert store.memory.objects == {}


async def test_one_calls_cancellation_does_not_touch_the_others(tmp_path: Path) -> None:
    make_tree(tmp_path, {"stuck": 10, "fine": 10})
    stuck = asyncio.Event()

    async def hook(moment: Moment) -> None:
        if moment.key == "stuck":
            stuck.set()
            await asyncio.Event().wait()

    store = HookedStore(MemoryStore(limits=TINY), hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        task = asyncio.create_task(uploader.upload_file(tmp_path / "stuck", "stuck"))
        with anyio.fail_after(10):
            await stuck.wait()
            task.cancel()
            assert (await uploader.upload_file(tmp_path / "fine", "fine")).ok
            await asyncio.wait([task])
    assert task.cancelled()
    assert set(store.memory.objects) == {"fine"}
