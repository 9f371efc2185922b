"""Operations of every kind: their first and last event, and the class of what ends them."""

import asyncio
import os
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import anyio
import pytest

from s3_uploader import (
    ConfigError,
    LogConsumer,
    Profile,
    S3UploaderError,
    SourceError,
    StoreError,
    UploadConfig,
    Uploader,
    UploadFailedError,
    UploadReport,
)
from s3_uploader.errors import InvalidKeyError, ResourceError
from s3_uploader.events import (
    CallFailed,
    CallFinished,
    CallKind,
    CallStarted,
    Event,
    EventsLost,
    ScanFinished,
    Warned,
)
from s3_uploader.store import UploadInfo
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import HookedStore, Moment
from trees import make_tree

pytestmark = pytest.mark.anyio

_OFF = UploadConfig(journal="off")

_Call = Callable[[Uploader, Path], Awaitable[object]]
_CALLS: dict[CallKind, _Call] = {
    "upload_file": lambda uploader, root: uploader.upload_file(root / "a", "t"),
    "upload_directory": lambda uploader, root: uploader.upload_directory(root, "t"),
    "verify_file": lambda uploader, root: uploader.verify_file(root / "a", "t"),
    "verify_directory": lambda uploader, root: uploader.verify_directory(root, "t"),
    "list_uploads": lambda uploader, _: uploader.pending_uploads("t", foreign=True),
    "abort_upload": lambda uploader, _: uploader.abort_upload("t", "id", force=True),
}
_RAISING = [kind for kind in _CALLS if not kind.startswith("upload")]


@asynccontextmanager
async def followed(uploader: Uploader) -> AsyncGenerator[list[Event | EventsLost]]:
    """Yield a list that holds, after the block, the events of every call of `uploader`."""
    seen: list[Event | EventsLost] = []

    async def read() -> None:
        async for event in stream:
            seen.append(event)  # noqa: PERF401  (a comprehension keeps nothing if it fails)

    async with anyio.create_task_group() as tasks, uploader, uploader.events() as stream:
        tasks.start_soon(read)
        yield seen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_tree(tmp_path / "t", {"a": 10})
    return tmp_path / "t"


def unopenable(warnings: tuple[tuple[str, dict[str, str]], ...] = ()) -> Profile:
    """Return the profile of a store that cannot be opened: its bucket's name is none."""
    return Profile(
        name="p",
        endpoint_url="http://127.0.0.1:9/",
        region="r",
        bucket="a/b",
        access_key="a",
        secret_key="s",
        warnings=warnings,
    )


# ---------------------------------------------------------------------------------------- events


def test_every_kind_is_called() -> None:
    assert set(_CALLS) == set(get_args(CallKind))


@pytest.mark.parametrize("kind", _CALLS)
async def test_every_kind_starts_and_finishes(kind: CallKind, root: Path) -> None:
    uploader = Uploader(store=MemoryStore(), config=_OFF)
    async with followed(uploader) as seen:
        await _CALLS[kind](uploader, root)
    started, finished = seen[0], seen[-1]
    assert isinstance(started, CallStarted)
    source = {"upload_file": root / "a", "verify_file": root / "a"}.get(kind, root)
    assert started.kind == kind
    assert started.source == (str(source) if "_upload" not in kind else "")
    assert started.target == "t"
    assert (started.bucket, started.endpoint) == ("memory", "memory://")
    assert isinstance(finished, CallFinished)
    assert finished.seconds > 0
    assert {type(event) for event in seen[1:-1]}.isdisjoint({CallStarted, CallFinished, CallFailed})
    totals = [(event.files, event.size) for event in seen if isinstance(event, ScanFinished)]
    assert totals == ([] if "_upload" in kind else [(1, 10)])


@pytest.mark.parametrize("kind", _CALLS)
async def test_every_kind_that_cannot_begin_starts_and_finishes(kind: CallKind, root: Path) -> None:
    profile = unopenable(warnings=(("profile.open_to_others", {"path": "p"}),))
    uploader = Uploader(profile, config=_OFF)
    async with followed(uploader) as seen:
        try:
            await _CALLS[kind](uploader, root)
        except StoreError:
            assert kind in _RAISING
    assert [type(event) for event in seen] == [CallStarted, Warned, CallFailed, CallFinished]
    started, _, failed, _ = seen
    assert isinstance(started, CallStarted)
    assert (started.kind, started.bucket, started.region) == (kind, "a/b", "r")
    assert started.endpoint == "http://127.0.0.1:9/"
    assert isinstance(failed, CallFailed)
    assert (failed.kind, failed.code) == (kind, "store.bad_bucket")


@pytest.mark.parametrize("kind", ["upload_directory", "verify_directory"])
async def test_cancelled_call_does_not_finish(kind: CallKind, root: Path) -> None:
    reached = asyncio.Event()

    async def hook(_moment: Moment) -> None:
        reached.set()
        await asyncio.Event().wait()

    uploader = Uploader(store=HookedStore(hook=hook), config=_OFF)
    async with followed(uploader) as seen:
        task = asyncio.ensure_future(_CALLS[kind](uploader, root))
        with anyio.fail_after(10):
            await reached.wait()
            task.cancel()
            await asyncio.wait([task])
    assert task.cancelled()
    assert isinstance(seen[0], CallStarted)
    assert not [event for event in seen if isinstance(event, CallFinished | CallFailed)]


@pytest.mark.parametrize(
    ("kind", "heading"),
    [("upload_directory", "❌ Upload failed: "), ("verify_directory", "❌ Verification failed: ")],
)
async def test_log_names_what_failed_and_sums_up_nothing(
    kind: CallKind, heading: str, tmp_path: Path
) -> None:
    lines: list[str] = []
    log = LogConsumer("en", lines.append)
    for uploader in (Uploader(store=MemoryStore()), Uploader(unopenable(), config=_OFF)):
        async with uploader:
            call = getattr(uploader, kind)
            try:
                await call(tmp_path / "none", consumers=[log])
            except S3UploaderError:
                assert kind == "verify_directory"
    assert len(lines) == 2
    assert all(line.startswith(heading) for line in lines)


# -------------------------------------------------------------------------------------- failures


class Unlisted(MemoryStore):
    """Raises an error at each listing and abort."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._raised = error

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        del prefix
        raise self._raised

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        del key, upload_id
        raise self._raised


@pytest.mark.parametrize("kind", _RAISING)
async def test_unusable_setting_is_a_config_error(
    kind: CallKind, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks5://proxy.example:1080")
    profile = Profile(
        name="p",
        endpoint_url="http://store.example/",
        region="r",
        bucket="bucket",
        access_key="a",
        secret_key="s",
    )
    async with Uploader(profile, config=_OFF) as uploader:
        with pytest.raises(ConfigError) as caught:
            await _CALLS[kind](uploader, root)
    assert type(caught.value) is ConfigError
    assert caught.value.code == "config.proxy_scheme"


@pytest.mark.parametrize("kind", _RAISING)
async def test_store_without_credentials_is_a_store_error(kind: CallKind, root: Path) -> None:
    profile = Profile(
        name="p",
        endpoint_url="http://127.0.0.1:9/",
        region="r",
        bucket="bucket",
        aws_profile="none",
    )
    async with Uploader(profile, config=_OFF) as uploader:
        with pytest.raises(StoreError) as caught:
            await _CALLS[kind](uploader, root)
    assert type(caught.value) is StoreError
    assert caught.value.code == "store.no_credentials"


async def test_missing_bucket_is_a_store_error(root: Path) -> None:
    error = StoreError("store.no_bucket", status=404, s3_code="NoSuchBucket", fatal=True)
    async with Uploader(store=Unlisted(error)) as uploader:
        with pytest.raises(StoreError) as caught:
            await _CALLS["list_uploads"](uploader, root)
    assert caught.value is error
    assert (caught.value.status, caught.value.fatal) == (404, True)


async def test_upload_of_others_is_refused_as_documented(root: Path) -> None:
    async with Uploader(store=MemoryStore()) as uploader:
        with pytest.raises(UploadFailedError) as caught:
            await uploader.abort_upload("k", "id")
    assert caught.value.code == "upload.foreign"
    del root


@pytest.mark.parametrize("name", ["none", "t/a"])
async def test_unreadable_directory_is_a_source_error(root: Path, name: str) -> None:
    async with Uploader(store=MemoryStore()) as uploader:
        with pytest.raises(SourceError) as caught:
            await uploader.verify_directory(root.parent / name)
    assert type(caught.value) is SourceError


async def test_error_that_ends_a_call_keeps_its_cause_and_traceback(root: Path) -> None:
    async with Uploader(store=MemoryStore()) as uploader:
        with pytest.raises(SourceError) as caught:
            await uploader.verify_directory(root / "none")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    files = {os.path.basename(frame.filename) for frame in traceback.extract_tb(caught.tb)}
    assert {"walk.py", "verify.py", "uploader.py"} <= files


async def test_invalid_prefix_is_an_invalid_key_error(root: Path) -> None:
    async with Uploader(store=MemoryStore()) as uploader:
        with pytest.raises(InvalidKeyError):
            await uploader.verify_directory(root, "p/")


@pytest.mark.parametrize("kind", ["list_uploads", "abort_upload"])
async def test_shortage_of_the_process_is_a_resource_error(kind: CallKind, root: Path) -> None:
    lack = MemoryError()
    async with Uploader(store=Unlisted(lack)) as uploader:
        with pytest.raises(ResourceError) as caught:
            await _CALLS[kind](uploader, root)
    assert caught.value.code == "process.memory"
    assert caught.value.__cause__ is lack


@pytest.mark.parametrize("kind", ["list_uploads", "abort_upload"])
async def test_bug_is_raised_as_it_is(kind: CallKind, root: Path) -> None:
    async with Uploader(store=Unlisted(ZeroDivisionError())) as uploader:
        with pytest.raises(ExceptionGroup) as caught:
            await _CALLS[kind](uploader, root)
    assert caught.group_contains(ZeroDivisionError)


@pytest.mark.parametrize(
    ("prefix", "name", "code"), [("p/", "t", "key.empty_segment"), ("p", "none", "source.missing")]
)
async def test_refused_upload_is_a_report(root: Path, prefix: str, name: str, code: str) -> None:
    path = root.parent / name
    async with Uploader(store=MemoryStore()) as uploader:
        report = await uploader.upload_directory(path, prefix)
    assert isinstance(report, UploadReport)
    assert (report.total, report.success, report.failed) == (1, 0, 1)
    (itself,) = report.files
    assert (itself.name, itself.key, itself.error) == (str(path), prefix, code)


async def test_failed_call_that_is_closed_early_raises(tmp_path: Path) -> None:
    """Its directory is not counted any more."""
    failed = anyio.Event()

    async def wait(event: Event) -> None:
        if isinstance(event, CallFailed):
            failed.set()
            await anyio.sleep_forever()

    uploader = Uploader(store=MemoryStore())
    raised: list[BaseException] = []

    async def upload() -> None:
        try:
            await uploader.upload_directory(tmp_path / "none", "p", consumers=[wait])
        except UploadFailedError as error:
            raised.append(error)

    async with anyio.create_task_group() as tasks, uploader:
        tasks.start_soon(upload)
        await failed.wait()
    assert [getattr(error, "code", "") for error in raised] == ["upload.closed_early"]
