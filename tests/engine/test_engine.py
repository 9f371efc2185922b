"""The engine over a store in memory: many files, one file, limits, order, memory, change."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from s3_uploader import UploadConfig, Uploader
from s3_uploader.events import BytesSent, Event, FileStarted, FileUploaded, ScanFinished
from s3_uploader.providers import GENERIC
from s3_uploader.sizes import GIB, KIB, MIB
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import TINY, HookedStore, Moment, fail_with, tiny
from trees import make_tree

pytestmark = pytest.mark.anyio

_NOW = UploadConfig(backoff_base=0)


@pytest.mark.parametrize("size", [0, 1, 999, 1_000, 1_001, 1_999, 2_000, 2_001, 3_000, 49_999])
async def test_file_of_any_size_arrives_whole(tmp_path: Path, size: int) -> None:
    """Below, at and above the part size and the threshold."""
    content = make_tree(tmp_path, {"f": size})
    store = HookedStore()
    async with Uploader(store=store, config=_NOW) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert store.memory.objects == {"k": content["f"]}
    assert (outcome.ok, outcome.size, outcome.verified_by) == (True, size, "etag-md5")
    assert outcome.parts == (-(-size // 1_000) if size > 2_000 else 1)


async def test_parts_grow_where_the_store_allows_few(tmp_path: Path) -> None:
    """aioboto3 sends parts of one size and fails at the end, past the store's part limit."""
    content = make_tree(tmp_path, {"f": 25_000})
    provider = tiny(max_part=10**7, max_parts=4, max_put=5 * GIB, multipart_threshold=1_000)
    store = HookedStore(MemoryStore(provider=provider))
    async with Uploader(store=store, config=_NOW) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.ok
    assert store.memory.objects == {"k": content["f"]}
    assert store.count("UploadPart") <= 4


async def test_part_that_fails_for_good_ends_the_file_at_once(tmp_path: Path) -> None:
    """aioboto3 hangs here. The siblings are cancelled, the multipart upload is aborted."""
    make_tree(tmp_path, {"f": 30_000})
    store = HookedStore()
    refuse = fail_with(400, "InvalidArgument", operation="UploadPart", part=3)

    async def hook(moment: Moment) -> None:
        await refuse(moment)
        if moment.operation == "UploadPart" and moment.part in {1, 2, 4}:
            # A sibling that would never end by itself.
            await anyio.Event().wait()

    store.hook = hook
    async with Uploader(store=store, config=_NOW) as uploader:
        with anyio.fail_after(10):
            outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.error == "store.rejected"
    assert store.memory.uploads == {}
    assert store.memory.objects == {}
    assert store.count("UploadPart") <= TINY.tuning.requests


async def test_failed_abort_is_retried_and_never_hides_the_cause(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_tree(tmp_path, {"f": 5_000})
    part = fail_with(400, "InvalidArgument", operation="UploadPart")
    abort = fail_with(500, "", operation="AbortMultipartUpload")

    async def hook(moment: Moment) -> None:
        await part(moment)
        await abort(moment)

    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.error == "store.rejected"
    assert store.count("AbortMultipartUpload") == 3
    assert "stays open" in caplog.text


async def test_requests_in_flight_are_never_more_than_allowed(tmp_path: Path) -> None:
    make_tree(tmp_path, {f"{number}": 1_500 for number in range(30)} | {"big": 40_000})

    async def hook(_moment: Moment) -> None:
        await anyio.lowlevel.checkpoint()

    store = HookedStore(hook=hook)
    config = UploadConfig(max_requests=3)
    async with Uploader(store=store, config=config) as uploader:
        report = await uploader.upload_directory(tmp_path)
    assert (report.success, report.failed) == (31, 0)
    assert store.peak == 3


async def test_requests_in_flight_bound_the_bodies_in_memory(tmp_path: Path) -> None:
    """Whatever the number of files, which are read whole; aioboto3 held 945 MiB for one."""
    files, size, requests = 40, 200 * KIB, 4
    make_tree(tmp_path, {f"{number}": size for number in range(files)})

    async def hook(moment: Moment) -> None:
        if (moment.operation, moment.when) == ("PutObject", "after"):
            # What the store holds is not the uploader's.
            await store.memory.delete_object(moment.key)
        for _ in range(20):
            # Whoever could read ahead does so meanwhile.
            await anyio.lowlevel.checkpoint()

    store = HookedStore(MemoryStore(), hook)
    async with Uploader(store=store, config=UploadConfig(max_requests=requests)) as uploader:
        # What is imported late is imported.
        assert (await uploader.upload_file(tmp_path / "0")).ok
        tracemalloc.start()
        try:
            report = await uploader.upload_directory(tmp_path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert report.success == files
    assert requests * size / 2 < peak < 2 * requests * size


async def test_concurrent_calls_share_one_limit(tmp_path: Path) -> None:
    content = make_tree(tmp_path, {f"{number}": 3_000 for number in range(12)})

    async def hook(_moment: Moment) -> None:
        await anyio.lowlevel.checkpoint()

    store = HookedStore(hook=hook)
    async with (
        Uploader(store=store, config=UploadConfig(max_requests=2)) as uploader,
        anyio.create_task_group() as tasks,
    ):
        for name in content:
            tasks.start_soon(uploader.upload_file, tmp_path / name, name)
        tasks.start_soon(uploader.upload_directory, tmp_path, "tree")
    assert store.peak == 2
    expected = content | {f"tree/{name}": data for name, data in content.items()}
    assert store.memory.objects == expected


async def test_large_body_is_read_a_block_at_a_time(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 3 * MIB + 1})
    seen: list[Event] = []
    async with Uploader(store=MemoryStore(), config=_NOW) as uploader:
        await uploader.upload_file(tmp_path / "f", "k", consumers=[seen.append])
    sent = [event.sent for event in seen if isinstance(event, BytesSent)]
    assert sent == [MIB, 2 * MIB, 3 * MIB, 3 * MIB + 1]


# --------------------------------------------------------------------------------------- a change


async def _upload_while(
    tmp_path: Path, size: int, act: Callable[[Path], object], when: str
) -> tuple[str, HookedStore]:
    """Upload a file and `act` on it once, at the first moment `when` of a body's request."""
    make_tree(tmp_path, {"f": size})
    done = False

    async def hook(moment: Moment) -> None:
        nonlocal done
        if moment.when == when and moment.operation in {"PutObject", "UploadPart"} and not done:
            done = True
            act(tmp_path / "f")

    provider = TINY if size < MIB else GENERIC
    store = HookedStore(MemoryStore(provider=provider), hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        with anyio.fail_after(20):
            outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert done
    return outcome.error, store


def _shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(bytes(path.stat().st_size))
    other.rename(path)


def _rewrite(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("size", [10_000, 5 * MIB])
@pytest.mark.parametrize("when", ["before", "chunk"])
@pytest.mark.parametrize(
    ("act", "code"),
    [
        (_shrink, "source.changed"),
        (_grow, "source.changed"),
        (_rewrite, "source.changed"),
    ],
)
async def test_file_that_changes_while_it_is_sent_publishes_nothing(
    tmp_path: Path, size: int, when: str, act: Callable[[Path], None], code: str
) -> None:
    """In parts and by one PUT; before its first byte and in the middle."""
    error, store = await _upload_while(tmp_path, size, act, when)
    assert error == code
    assert store.memory.objects == {}
    assert store.memory.uploads == {}


@pytest.mark.parametrize(
    ("act", "code"), [(_replace, "source.changed"), (Path.unlink, "source.vanished")]
)
async def test_file_replaced_or_gone_between_its_parts_publishes_nothing(
    tmp_path: Path, act: Callable[[Path], object], code: str
) -> None:
    error, store = await _upload_while(tmp_path, 10_000, act, "after")
    assert error == code
    assert store.memory.objects == {}
    assert store.memory.uploads == {}


async def test_change_after_the_last_part_is_seen_before_completion(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 3_000})
    left = 3

    async def hook(moment: Moment) -> None:
        nonlocal left
        if (moment.when, moment.operation) == ("after", "UploadPart"):
            left -= 1
            if left == 0:
                _grow(tmp_path / "f")

    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.error == "source.changed"
    assert store.count("CompleteMultipartUpload") == 0
    assert store.memory.uploads == {}


# -------------------------------------------------------------------------------------- directory


async def test_fatal_error_stops_the_rest_of_the_directory(tmp_path: Path) -> None:
    """Every file is accounted for; those not tried say so."""
    make_tree(tmp_path, {f"{number:03}": 10 for number in range(100)})
    hook = fail_with(403, "SignatureDoesNotMatch", operation="PutObject")
    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        report = await uploader.upload_directory(tmp_path)
    assert (report.total, report.success, report.failed) == (100, 0, 100)
    assert store.count("PutObject") <= TINY.tuning.requests
    codes = {outcome.error for outcome in report.failures}
    assert codes == {"store.signature", "upload.stopped"}


async def test_file_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    content = make_tree(tmp_path, {"a": 10, "bad": 10, "c": 3_000})
    hook = fail_with(403, "AccessDenied", operation="PutObject", key="bad")
    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        report = await uploader.upload_directory(tmp_path, "p")
    assert [outcome.name for outcome in report.failures] == ["bad"]
    del content["bad"]
    assert store.memory.objects == {f"p/{name}": data for name, data in content.items()}


async def test_uploading_starts_before_the_walk_ends(tmp_path: Path) -> None:
    make_tree(tmp_path, {f"{number:04}": 1 for number in range(600)})
    seen: list[Event] = []
    async with Uploader(store=MemoryStore(), config=UploadConfig(max_requests=1)) as uploader:
        await uploader.upload_directory(tmp_path, consumers=[seen.append])
    kinds = [type(event) for event in seen]
    assert kinds.index(FileStarted) < kinds.index(ScanFinished)


async def test_totals_are_known_before_a_tree_beyond_the_queue_is_sent(tmp_path: Path) -> None:
    """The queue holds 128 batches of 256; with it full the rest of the tree is counted ahead."""
    files = 128 * 256 + 3 * 256
    (tmp_path / "d").mkdir()
    source = tmp_path / "d" / "0"
    source.touch()
    for number in range(1, files):
        os.link(source, tmp_path / "d" / f"{number}")
    scanned = anyio.Event()
    done_at_scan = -1
    done = 0

    def watch(event: Event) -> None:
        nonlocal done, done_at_scan
        done += isinstance(event, FileUploaded)
        if isinstance(event, ScanFinished):
            assert event.files == files
            done_at_scan = done
            scanned.set()

    async def hook(moment: Moment) -> None:
        if moment.when == "before":
            await scanned.wait()

    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=_NOW) as uploader:
        with anyio.fail_after(60), anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def until_scanned() -> None:
                    await scanned.wait()
                    scope.cancel()

                tasks.start_soon(until_scanned)
                await uploader.upload_directory(tmp_path, consumers=[watch])
    assert done_at_scan == 0


async def test_empty_directory_is_a_success(tmp_path: Path) -> None:
    async with Uploader(store=MemoryStore(), config=_NOW) as uploader:
        report = await uploader.upload_directory(tmp_path)
    assert (report.ok, report.total, report.files) == (True, 0, ())
    report.raise_for_failures()


async def test_link_cycles_are_in_the_report(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 1})
    (tmp_path / "self").symlink_to(".")
    async with Uploader(store=MemoryStore(), config=_NOW) as uploader:
        report = await uploader.upload_directory(tmp_path)
    assert (report.total, report.skipped) == (1, ("self",))


async def test_entries_that_cannot_be_uploaded_fail_alone(tmp_path: Path) -> None:
    content = make_tree(tmp_path, {"good": 5})
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "broken").symlink_to("nowhere")
    # Opens and then fails to read, for root too.
    (tmp_path / "unreadable").symlink_to("/proc/self/mem")
    os.close(os.open(os.fsencode(tmp_path) + b"/caf\xe9", os.O_CREAT))
    long_name = "n" * 250
    deep = tmp_path / long_name / long_name / long_name / long_name
    deep.mkdir(parents=True)
    (deep / long_name).touch()
    store = MemoryStore()
    async with Uploader(store=store, config=_NOW) as uploader:
        report = await uploader.upload_directory(tmp_path)
    assert {outcome.name[:10]: outcome.error for outcome in report.failures} == {
        "fifo": "source.special",
        "broken": "source.broken_link",
        "unreadable": "source.unreadable",
        "caf\udce9": "key.not_utf8",
        "n" * 10: "key.too_long",
    }
    assert store.objects == content
    for outcome in report.failures:
        outcome.message().encode()


async def test_content_type_is_guessed_or_given(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a.json": 1, "b.unknown-kind": 1})
    types: list[str] = []

    class Typed(HookedStore):
        async def put_object(self, *args: Any, **kwargs: Any) -> Any:
            types.append(args[2].content_type)
            return await super().put_object(*args, **kwargs)

    async with Uploader(store=Typed(), config=_NOW) as uploader:
        await uploader.upload_file(tmp_path / "a.json", "1")
        await uploader.upload_file(tmp_path / "b.unknown-kind", "2")
        await uploader.upload_file(tmp_path / "a.json", "3", content_type="x/y")
    assert types == ["application/json", "application/octet-stream", "x/y"]
