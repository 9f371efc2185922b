"""Cancelled at any instant, an upload leaves no task and no multipart upload behind."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from cancel_at_step import Work, cancel_scope, cancel_task
from s3_uploader import FileOutcome, UploadConfig, Uploader, UploadFailedError
from s3_uploader.store import ObjectInfo
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import TINY, HookedStore, Moment
from trees import make_tree

pytestmark = pytest.mark.anyio

_NOW = UploadConfig(backoff_base=0)


@pytest.mark.parametrize("run", [cancel_task, cancel_scope])
@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_cancellation_at_every_step_leaves_nothing(
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


async def test_create_in_progress_is_awaited_and_aborted(tmp_path: Path) -> None:
    """Cancelled between the store's acceptance and its response: the id still arrives."""
    make_tree(tmp_path, {"f": 5_000})
    accepted, respond = asyncio.Event(), asyncio.Event()

    async def hook(moment: Moment) -> None:
        if (moment.when, moment.operation) == ("after", "CreateMultipartUpload"):
            accepted.set()
            await respond.wait()

    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        task = asyncio.create_task(uploader.upload_file(tmp_path / "f", "k"))
        with anyio.fail_after(10):
            await accepted.wait()
            task.cancel()
            await anyio.lowlevel.checkpoint()
            assert len(store.memory.uploads) == 1
            respond.set()
            await asyncio.wait([task])
    assert task.cancelled()
    assert store.memory.uploads == {}
    assert store.count("UploadPart") == 0


async def test_nothing_new_starts_after_a_cancellation(tmp_path: Path) -> None:
    """aioboto3 continues to send; here the requests made are those made before."""
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
        assert len(store.calls) <= at_cancel + TINY.tuning.requests


async def test_second_cancellation_does_not_break_the_abort(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 5_000})
    aborting, respond = asyncio.Event(), asyncio.Event()
    task: asyncio.Task[FileOutcome]

    async def hook(moment: Moment) -> None:
        if (moment.when, moment.operation) == ("chunk", "UploadPart"):
            task.cancel()
            await anyio.lowlevel.checkpoint()
        if (moment.when, moment.operation) == ("before", "AbortMultipartUpload"):
            aborting.set()
            await respond.wait()

    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        task = asyncio.create_task(uploader.upload_file(tmp_path / "f", "k"))
        with anyio.fail_after(10):
            await aborting.wait()
            task.cancel()
            await anyio.lowlevel.checkpoint()
            respond.set()
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


async def test_cancellation_of_one_call_does_not_touch_the_others(tmp_path: Path) -> None:
    make_tree(tmp_path, {"stuck": 10, "fine": 10})
    stuck = asyncio.Event()

    async def hook(moment: Moment) -> None:
        if moment.key == "stuck":
            stuck.set()
            await asyncio.Event().wait()

    store = HookedStore(MemoryStore(provider=TINY), hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        task = asyncio.create_task(uploader.upload_file(tmp_path / "stuck", "stuck"))
        with anyio.fail_after(10):
            await stuck.wait()
            task.cancel()
            assert (await uploader.upload_file(tmp_path / "fine", "fine")).ok
            await asyncio.wait([task])
    assert task.cancelled()
    assert set(store.memory.objects) == {"fine"}


async def test_cancelled_verification_does_not_wait_for_the_hash(tmp_path: Path) -> None:
    """The file is sparse and large: hashing it takes far longer than the test is given."""
    with (tmp_path / "f").open("wb") as file:
        file.truncate(1 << 36)

    class Sparse(MemoryStore):
        async def head_object(self, key: str) -> ObjectInfo:
            return ObjectInfo(key, 1 << 36, "0" * 32, {})

    async with Uploader(store=Sparse(), config=_NOW) as uploader:
        with anyio.fail_after(30), anyio.move_on_after(0.2) as scope:
            await uploader.verify_file(tmp_path / "f", "k")
    assert scope.cancelled_caught
