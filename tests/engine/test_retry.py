"""Retries: which failures are tried again, when, and what a waiting request holds."""

import random
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_uploader import (
    IntegrityError,
    InvalidKeyError,
    S3UploaderError,
    SourceError,
    StoreError,
    UploadConfig,
    Uploader,
)
from s3_uploader.checksums import Checksum
from s3_uploader.engine.pacing.retry import RetryPolicy
from s3_uploader.events import Event, RequestRetried
from s3_uploader.testing.hooked import HookedStore, fail_with
from trees import make_tree

_RETRYABLE = StoreError("store.busy", status=503, retryable=True)
_NOW = UploadConfig(backoff_base=0)


@given(
    attempt=st.integers(1, 2_000),
    base=st.floats(0, 100),
    cap=st.floats(0, 1_000),
    seed=st.integers(0, 2**32),
)
def test_delay_is_within_the_full_jitter_bounds(
    attempt: int, base: float, cap: float, seed: int
) -> None:
    policy = RetryPolicy(max_attempts=10_000, base=base, cap=cap)
    delay = policy.delay(_RETRYABLE, attempt, reached=True, rng=random.Random(seed))  # noqa: S311
    assert delay is not None
    assert 0 <= delay <= min(cap, base * 2.0 ** min(attempt - 1, 62))


def test_jitter_is_full_and_the_ceiling_doubles_up_to_the_cap() -> None:
    policy = RetryPolicy(max_attempts=100, base=1, cap=8)
    rng = random.Random(1)  # noqa: S311
    for attempt, ceiling in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (50, 8)):
        drawn = [
            policy.delay(_RETRYABLE, attempt, reached=True, rng=rng) or 0.0 for _ in range(500)
        ]
        assert min(drawn) < 0.05 * ceiling
        assert 0.95 * ceiling < max(drawn) <= ceiling


def test_last_attempt_is_not_followed_by_another() -> None:
    policy = RetryPolicy(max_attempts=3, base=1, cap=1)
    delays = [
        policy.delay(_RETRYABLE, attempt, reached=True, rng=random.Random())  # noqa: S311
        for attempt in (1, 2, 3, 4)
    ]
    assert [delay is None for delay in delays] == [False, False, True, True]


@pytest.mark.parametrize(
    ("error", "reached", "again"),
    [
        (_RETRYABLE, False, True),
        (StoreError("store.rejected", status=400), True, False),
        (StoreError("store.full", status=507, fatal=True), True, False),
        (IntegrityError("integrity.etag"), True, True),
        (SourceError("source.changed"), True, False),
        (InvalidKeyError("key.empty"), True, False),
        (StoreError("store.refused", retryable=True, fatal=True), False, False),
        (StoreError("store.refused", retryable=True, fatal=True), True, True),
        (StoreError("store.unknown_host", retryable=True, fatal=True), False, False),
        (StoreError("store.unknown_host", retryable=True, fatal=True), True, True),
        (StoreError("store.reset", retryable=True), False, True),
    ],
)
def test_only_passing_failures_are_retried(
    error: S3UploaderError, *, reached: bool, again: bool
) -> None:
    """A host that never responded counts as a wrong address; one that did, as restarting."""
    policy = RetryPolicy(max_attempts=3, base=1, cap=1)
    delay = policy.delay(error, 1, reached=reached, rng=random.Random())  # noqa: S311
    assert (delay is not None) == again


# ------------------------------------------------------------------------------------ in uploads


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("operation", "size"),
    [
        ("PutObject", 10),
        ("CreateMultipartUpload", 5_500),
        ("UploadPart", 5_500),
        ("CompleteMultipartUpload", 5_500),
    ],
)
@pytest.mark.parametrize("status", [429, 500, 503, 524])
async def test_passing_failure_of_any_request_ends_in_success(
    tmp_path: Path, operation: str, size: int, status: int
) -> None:
    content = make_tree(tmp_path, {"f": size})
    store = HookedStore(hook=fail_with(status, "", operation=operation, times=2))
    events: list[Event] = []
    async with Uploader(store=store, config=_NOW) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k", consumers=[events.append])
    assert outcome.ok
    assert store.memory.objects == {"k": content["f"]}
    assert store.memory.uploads == {}
    retried = [event for event in events if isinstance(event, RequestRetried)]
    assert len(retried) == 2
    assert {event.operation for event in retried} == {operation}
    assert {event.code for event in retried} == {"store.busy"}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "s3_code"),
    [(403, "AccessDenied"), (400, "InvalidArgument"), (413, ""), (507, ""), (404, "NoSuchBucket")],
)
async def test_lasting_failure_is_not_retried(tmp_path: Path, status: int, s3_code: str) -> None:
    make_tree(tmp_path, {"f": 10})
    store = HookedStore(hook=fail_with(status, s3_code, operation="PutObject"))
    async with Uploader(store=store, config=_NOW) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert not outcome.ok
    assert store.count("PutObject") == 1


@pytest.mark.anyio
async def test_attempts_end_at_max_attempts(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 10})
    store = HookedStore(hook=fail_with(503, "SlowDown", operation="PutObject"))
    config = UploadConfig(backoff_base=0, max_attempts=4)
    async with Uploader(store=store, config=config) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.error == "store.busy"
    assert store.count("PutObject") == 4


@pytest.mark.anyio
async def test_request_releases_its_token_while_it_waits(tmp_path: Path) -> None:
    """One request at a time: a second file passes the first, which backs off for hours."""
    make_tree(tmp_path, {"first": 10, "second": 10})
    store = HookedStore(hook=fail_with(503, "", operation="PutObject", key="first"))
    config = UploadConfig(max_requests=1, backoff_base=1e9, backoff_cap=1e9)
    backing_off = anyio.Event()

    def watch(event: Event) -> None:
        if isinstance(event, RequestRetried):
            backing_off.set()

    async def first(uploader: Uploader) -> None:
        await uploader.upload_file(tmp_path / "first", "first", consumers=[watch])

    async with Uploader(store=store, config=config) as uploader, anyio.create_task_group() as tasks:
        tasks.start_soon(first, uploader)
        with anyio.fail_after(10):
            await backing_off.wait()
            assert (await uploader.upload_file(tmp_path / "second", "second")).ok
        tasks.cancel_scope.cancel()


# ------------------------------------------------------------------------------------- integrity


class LyingStore(HookedStore):
    """A store whose first `lies` receipts carry the ETag of other bytes."""

    def __init__(self, lies: int, etag: str = "0" * 32) -> None:
        super().__init__()
        self.lies = lies
        self.etag = etag

    def _receipt(self, honest: Any) -> Any:
        self.lies -= 1
        return type(honest)(self.etag) if self.lies >= 0 else honest

    async def put_object(self, *args: Any, **kwargs: Any) -> Any:
        return self._receipt(await super().put_object(*args, **kwargs))

    async def upload_part(self, *args: Any, **kwargs: Any) -> Any:
        return self._receipt(await super().upload_part(*args, **kwargs))


@pytest.mark.anyio
@pytest.mark.parametrize(("size", "operation"), [(10, "PutObject"), (2_500, "UploadPart")])
async def test_bytes_damaged_at_the_store_are_sent_again(
    tmp_path: Path, size: int, operation: str
) -> None:
    content = make_tree(tmp_path, {"f": size})
    store = LyingStore(lies=2)
    events: list[Event] = []
    async with Uploader(store=store, config=_NOW) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k", consumers=[events.append])
    assert outcome.verified_by == "etag-md5"
    assert store.memory.objects == {"k": content["f"]}
    parts = max(1, outcome.parts)
    assert store.count(operation) == parts + 2
    retried = [event.code for event in events if isinstance(event, RequestRetried)]
    assert retried == ["integrity.etag"] * 2


@pytest.mark.anyio
@pytest.mark.parametrize("size", [10, 2_500])
async def test_store_that_always_damages_bytes_fails_the_file(tmp_path: Path, size: int) -> None:
    make_tree(tmp_path, {"f": size})
    store = LyingStore(lies=10**6)
    config = UploadConfig(backoff_base=0, max_attempts=2)
    async with Uploader(store=store, config=config) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.error == "integrity.etag"
    assert store.memory.uploads == {}


@pytest.mark.anyio
@pytest.mark.parametrize("size", [10, 2_500])
async def test_etag_that_is_no_md5_is_settled_by_head(tmp_path: Path, size: int) -> None:
    content = make_tree(tmp_path, {"f": size})

    class Opaque(LyingStore):
        async def complete_multipart_upload(
            self, key: str, upload_id: str, parts: Any, checksum: Checksum | None = None
        ) -> Any:
            held = await self.inner.list_parts(key, upload_id)
            honest = [type(parts[0])(part.number, part.etag) for part in held]
            return await super().complete_multipart_upload(key, upload_id, honest, checksum)

    store = Opaque(lies=10**6, etag="not-an-md5")
    async with Uploader(store=store, config=_NOW) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.ok
    # HEAD shows the MD5 of what went with one request; of parts whose ETags are none it shows no
    # more than our token.
    assert outcome.verified_by == ("etag-md5" if size == 10 else "size")
    assert store.count("HeadObject") == 1
    assert store.memory.objects == {"k": content["f"]}


@pytest.mark.anyio
async def test_md5_integrity_demands_the_proof(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 10})
    config = UploadConfig(backoff_base=0, max_attempts=1, integrity="md5")
    async with Uploader(store=LyingStore(10**6, "not-an-md5"), config=config) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.error == "integrity.no_md5"


@pytest.mark.anyio
@pytest.mark.parametrize("size", [10, 2_500])
async def test_integrity_off_proves_nothing_and_says_so(tmp_path: Path, size: int) -> None:
    content = make_tree(tmp_path, {"f": size})
    store = HookedStore()
    config = UploadConfig(integrity="off")
    async with Uploader(store=store, config=config) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert (outcome.ok, outcome.verified_by) == (True, "none")
    assert store.memory.objects == {"k": content["f"]}
