"""The async API and the sync functions around it: consumers, events, loops and threads."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from conftest import Bucket
from lanes import REAL_LANES, lane_profile
from s3_uploader import (
    ConfigError,
    UploadConfig,
    Uploader,
    UploadFailedError,
    upload_directory,
    upload_file,
)
from s3_uploader.engine.delivery.subscription import CAPACITY
from s3_uploader.events import (
    CallFinished,
    CallStarted,
    Event,
    EventsLost,
    FileUploaded,
    ScanFinished,
)
from s3_uploader.sizes import MIB
from s3_uploader.testing import LocalS3Server, MemoryStore
from s3_uploader.testing.hooked import TINY, HookedStore, Moment
from trees import make_tree


@pytest.mark.anyio
@pytest.mark.parametrize("lane", REAL_LANES)
async def test_tree_arrives_byte_for_byte(
    lane: str, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    """Every size at which something changes, read back by a client that is not ours."""
    part = 6 * MIB
    five = 5 * MIB
    sizes = [0, 1, MIB, MIB + 1, five - 1, five, five + 1, part - 1, part, part + 1, 2 * part]
    content = make_tree(tmp_path / "t", {f"d/{size} 字节 +%.bin": size for size in sizes})
    (tmp_path / "t" / "link").symlink_to("d/1 字节 +%.bin")
    content["link"] = content["d/1 字节 +%.bin"]
    config = UploadConfig(
        part_size=part, multipart_threshold=part, ca_bundle=server.ca_bundle, integrity="md5"
    )
    async with Uploader(lane_profile(lane, server), config=config) as uploader:
        report = await uploader.upload_directory(tmp_path / "t", prefix)
    report.raise_for_failures()
    assert {outcome.verified_by for outcome in report.files} == {"etag-md5"}
    assert report.size == sum(map(len, content.values()))
    assert bucket.tree(prefix) == content
    assert bucket.open_uploads(prefix) == []
    for outcome in report.files:
        assert bucket.head(outcome.key)["ETag"].strip('"') == outcome.etag


@pytest.mark.anyio
async def test_consumers_get_every_event_in_order_sync_or_async(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": 1, "b": 3_000})
    plain: list[Event] = []
    awaited: list[Event] = []

    async def consume(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        awaited.append(event)

    async with Uploader(store=HookedStore()) as uploader:
        report = await uploader.upload_directory(tmp_path, consumers=[plain.append, consume])
    assert plain == awaited
    assert isinstance(plain[0], CallStarted)
    assert isinstance(plain[-1], CallFinished)
    assert sum(isinstance(event, FileUploaded) for event in plain) == report.success == 2
    assert [event.files for event in plain if isinstance(event, ScanFinished)] == [2]


@pytest.mark.anyio
async def test_failing_consumer_is_logged_once_and_contained(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_tree(tmp_path, {"a": 1, "b": 1})
    seen: list[Event] = []

    def broken(_event: Event) -> None:
        raise ZeroDivisionError

    async with Uploader(store=MemoryStore()) as uploader:
        report = await uploader.upload_directory(tmp_path, consumers=[broken, seen.append])
    assert report.ok
    assert isinstance(seen[-1], CallFinished)
    assert caplog.text.count("an event consumer failed") == 1


@pytest.mark.anyio
async def test_events_of_all_calls_come_through_one_stream(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": 1, "b": 1})
    seen: list[Event | EventsLost] = []

    async def read() -> None:
        async with uploader.events() as stream:
            reading.set()
            async for event in stream:
                seen.append(event)  # noqa: PERF401  (a comprehension keeps nothing if it fails)

    reading = anyio.Event()
    async with anyio.create_task_group() as tasks, Uploader(store=MemoryStore()) as uploader:
        tasks.start_soon(read)
        await reading.wait()
        await uploader.upload_file(tmp_path / "a")
        await uploader.upload_file(tmp_path / "b")
    uploads = {event.call for event in seen if isinstance(event, FileUploaded)}
    assert uploads == {1, 2}


@pytest.mark.anyio
async def test_slow_subscriber_gets_the_number_of_lost_events(tmp_path: Path) -> None:
    make_tree(tmp_path, {f"{number}": 1 for number in range(CAPACITY // 2 + 50)})
    total = 0

    def count(_event: Event) -> None:
        nonlocal total
        total += 1

    async with Uploader(store=MemoryStore()) as uploader, uploader.events() as stream:
        await uploader.upload_directory(tmp_path, consumers=[count])
        first = await anext(stream)
        assert first == EventsLost(count=total - CAPACITY)
        rest = [await anext(stream) for _ in range(CAPACITY)]
    assert isinstance(rest[-1], CallFinished)


@pytest.mark.anyio
async def test_closed_uploader_raises(tmp_path: Path) -> None:
    uploader = Uploader(store=MemoryStore())
    with pytest.raises(UploadFailedError, match="not open"):
        await uploader.upload_file(tmp_path / "f")
    async with uploader:
        pass
    with pytest.raises(UploadFailedError, match="not open"):
        await uploader.upload_directory(tmp_path)


@pytest.mark.anyio
async def test_missing_profile_is_raised_on_entering() -> None:
    with pytest.raises(ConfigError):
        async with Uploader():
            raise AssertionError


@pytest.mark.anyio
async def test_reports_turn_into_exceptions_on_request(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": 1})
    (tmp_path / "broken").symlink_to("nowhere")
    async with Uploader(store=MemoryStore()) as uploader:
        report = await uploader.upload_directory(tmp_path, keep_files=False)
        outcome = await uploader.upload_file(tmp_path / "no")
    assert [file.name for file in report.files] == ["broken"]
    with pytest.raises(UploadFailedError, match=r"1 of 2 files.*broken"):
        report.raise_for_failures()
    with pytest.raises(UploadFailedError, match="does not exist"):
        outcome.raise_for_failure()


@pytest.mark.anyio
async def test_two_uploaders_do_not_share_their_limits(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 10})
    held = asyncio.Event()

    async def hook(_moment: Moment) -> None:
        held.set()
        await asyncio.Event().wait()

    config = UploadConfig(max_requests=1)
    stuck = HookedStore(MemoryStore(provider=TINY), hook)
    async with Uploader(store=stuck, config=config) as one, Uploader(store=MemoryStore()) as two:
        task = asyncio.create_task(one.upload_file(tmp_path / "f"))
        with anyio.fail_after(10):
            await held.wait()
            assert (await two.upload_file(tmp_path / "f")).ok
        task.cancel()
        await asyncio.wait([task])


# -------------------------------------------------------------------------------- sync functions


@pytest.mark.usefixtures("configured")
@pytest.mark.anyio
async def test_sync_functions_work_inside_a_running_loop(
    tmp_path: Path, prefix: str, bucket: Bucket
) -> None:
    content = make_tree(tmp_path, {"f": 10})
    assert upload_file(tmp_path / "f", models_subdir=prefix, verbose=False)
    result = upload_directory(tmp_path, "d", models_subdir=prefix, verbose=False)
    assert result == {"total": 1, "success": 1, "failed": 0}
    assert bucket.tree(prefix) == {"f": content["f"], "d/f": content["f"]}


@pytest.mark.usefixtures("configured")
def test_sync_functions_work_from_several_threads_at_once(
    tmp_path: Path, prefix: str, bucket: Bucket
) -> None:
    content = make_tree(tmp_path, {f"{number}": 1_000 + number for number in range(4)})
    together = threading.Barrier(4)

    def upload(name: str) -> bool:
        together.wait(30)
        return upload_file(tmp_path / name, models_subdir=prefix, verbose=False)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(upload, content)) == [True] * 4
    assert bucket.tree(prefix) == content
