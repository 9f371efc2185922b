"""Bytes that change on the way, ETags that lie, and files that change while they are sent."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from behind_proxy import BOTH_LANES, IN_PARTS, PART, behind_proxy
from conftest import Bucket
from s3_uploader.sizes import MIB
from s3_uploader.testing import Effect, Fault, FlipBit, LocalS3Server, Record, WrongETag
from s3_uploader.testing.faults.http import Head

pytestmark = pytest.mark.anyio

# Name, size, operation; and the lane, which matters for how a body is hashed.
_SENT = {
    "small": (200_000, "PutObject", "wire"),
    "put": (300_000, "PutObject", "wire"),
    "part": (IN_PARTS, "UploadPart", "wire"),
    "part-boto": (IN_PARTS, "UploadPart", "boto"),
    "small-boto": (200_000, "PutObject", "boto"),
    "put-boto": (300_000, "PutObject", "boto"),
}


@pytest.mark.parametrize(("size", "operation", "lane"), _SENT.values(), ids=_SENT)
async def test_flipped_bit_is_noticed_and_the_body_sent_again(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    size: int,
    operation: str,
    lane: str,
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    fault = Fault(operation, FlipBit(), first=1)
    async with behind_proxy(server, bucket, fault, lane=lane) as rig:
        outcome = await rig.upload(path, prefix)
    assert (outcome.status, outcome.verified_by) == ("committed", "etag-md5")
    assert rig.content(prefix) == path.read_bytes()
    assert [retry.operation for retry in rig.retries] == [operation]
    assert bucket.open_uploads(prefix) == []


@pytest.mark.parametrize(("size", "operation", "lane"), _SENT.values(), ids=_SENT)
async def test_bits_flipped_each_time_are_never_committed(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    size: int,
    operation: str,
    lane: str,
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    async with behind_proxy(server, bucket, Fault(operation, FlipBit()), lane=lane) as rig:
        outcome = await rig.upload(path, prefix)
    assert outcome.status == "failed", outcome.message()
    assert rig.proxy.count(operation) >= 3
    # Where the body carries its MD5, or is a part, nothing wrong is ever published.
    if operation == "UploadPart" or size == 200_000:
        assert rig.content(prefix) is None
    assert bucket.open_uploads(prefix) == []


@pytest.mark.parametrize("at", [0, PART // 2, PART - 1])
async def test_bit_anywhere_in_a_part_is_noticed(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, at: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(IN_PARTS))
    fault = Fault("UploadPart", FlipBit(at=at, bit=7), part=1, first=1)
    async with behind_proxy(server, bucket, fault) as rig:
        outcome = await rig.upload(path, prefix)
    assert outcome.ok
    assert [(retry.operation, retry.code) for retry in rig.retries] == [
        ("UploadPart", "integrity.etag")
    ]
    assert rig.content(prefix) == path.read_bytes()


@pytest.mark.parametrize(("size", "operation", "lane"), _SENT.values(), ids=_SENT)
async def test_etag_that_lies_once_costs_an_attempt(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    size: int,
    operation: str,
    lane: str,
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    fault = Fault(operation, WrongETag(), first=1)
    async with behind_proxy(server, bucket, fault, lane=lane) as rig:
        outcome = await rig.upload(path, prefix)
    assert (outcome.status, outcome.verified_by) == ("committed", "etag-md5")
    assert [retry.code for retry in rig.retries] == ["integrity.etag"]
    assert rig.content(prefix) == path.read_bytes()


@pytest.mark.parametrize(("size", "operation", "lane"), _SENT.values(), ids=_SENT)
async def test_etags_that_always_lie_are_never_believed(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    size: int,
    operation: str,
    lane: str,
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    async with behind_proxy(server, bucket, Fault(operation, WrongETag()), lane=lane) as rig:
        outcome = await rig.upload(path, prefix)
    assert (outcome.status, outcome.error) == ("failed", "integrity.etag")
    assert bucket.open_uploads(prefix) == []


# ------------------------------------------------------------------ files that change meanwhile


def _modify(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 1_000)
        file.write(b"changed meanwhile")


def _truncate(path: Path) -> None:
    os.truncate(path, PART + 1)


def _replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(os.urandom(path.stat().st_size))
    other.replace(path)


_CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "modified": (_modify, "source.changed"),
    "truncated": (_truncate, "source.changed"),
    "replaced": (_replace, "source.changed"),
    "removed": (Path.unlink, "source.vanished"),
}


@dataclass(frozen=True)
class Act(Effect):
    """Acts when the response passes: the client has read all it sends by then."""

    act: Callable[[], object]

    def edit(self, head: Head, random_bits: int) -> None:
        del head, random_bits
        self.act()


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("number", [pytest.param(1, marks=pytest.mark.long), 2])
@pytest.mark.parametrize("change", list(_CHANGES))
@pytest.mark.parametrize("older", [pytest.param(False, marks=pytest.mark.long), True])
async def test_file_that_changes_between_its_parts_publishes_nothing(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    lane: str,
    number: int,
    change: str,
    older: bool,  # noqa: FBT001
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(2 * PART + 100_000))
    before = _put_older(bucket, prefix) if older else None
    act, code = _CHANGES[change]

    def hook(record: Record) -> None:
        if record.operation == "UploadPart" and record.part == number and path.exists():
            act(path)

    async with behind_proxy(server, bucket, lane=lane, max_requests=1) as rig:
        rig.proxy.hook = hook
        outcome = await rig.upload(path, prefix)
    assert (outcome.status, outcome.error) == ("failed", code), outcome.message()
    assert rig.content(prefix) == before
    assert rig.proxy.count("CompleteMultipartUpload") == 0
    assert bucket.open_uploads(prefix) == []


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("change", list(_CHANGES))
async def test_file_that_changes_after_its_last_part_publishes_nothing(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str, change: str
) -> None:
    """All of it is at the store by then: only the check before Complete can notice."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(2 * PART + 100_000))
    before = _put_older(bucket, prefix)
    act, code = _CHANGES[change]
    fault = Fault("UploadPart", Act(lambda: act(path)), part=3)
    async with behind_proxy(server, bucket, fault, lane=lane, max_requests=1) as rig:
        outcome = await rig.upload(path, prefix)
    assert (outcome.status, outcome.error) == ("failed", code), outcome.message()
    assert rig.statuses("UploadPart") == [200, 200, 200]
    assert rig.content(prefix) == before
    assert rig.proxy.count("CompleteMultipartUpload") == 0
    assert bucket.open_uploads(prefix) == []


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("change", list(_CHANGES))
@pytest.mark.parametrize("older", [pytest.param(False, marks=pytest.mark.long), True])
async def test_file_that_changes_within_its_only_put_publishes_nothing(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    lane: str,
    change: str,
    older: bool,  # noqa: FBT001
) -> None:
    """Also where the open file is whole still, because another has taken its name."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(16 * MIB))
    before = _put_older(bucket, prefix) if older else None
    act, code = _CHANGES[change]

    def hook(record: Record) -> None:
        # More than the connection's buffers hold is not read yet.
        if record.operation == "PutObject" and path.exists():
            act(path)

    async with behind_proxy(server, bucket, lane=lane, multipart_threshold=32 * MIB) as rig:
        rig.proxy.hook = hook
        outcome = await rig.upload(path, prefix)
    assert (outcome.status, outcome.error) == ("failed", code), outcome.message()
    assert rig.content(prefix) == before


def _put_older(bucket: Bucket, key: str) -> bytes:
    older = os.urandom(1_000)
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=older)
    return older


@pytest.mark.parametrize("change", list(_CHANGES))
async def test_file_that_changes_before_its_small_put_is_retried_arrives_whole(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, change: str
) -> None:
    """A small file is read again for each attempt: the object is what the file then is."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(100_000))

    def act() -> None:
        if change == "truncated":
            os.truncate(path, 5)
        else:
            _CHANGES[change][0](path)

    def hook(record: Record) -> None:
        if record.sequence == 1:
            act()

    async with behind_proxy(server, bucket, "PutObject:503:first=1") as rig:
        rig.proxy.hook = hook
        outcome = await rig.upload(path, prefix)
    if change == "removed":
        assert outcome.status == "failed"
        assert rig.content(prefix) is None
    else:
        assert outcome.ok, outcome.message()
        assert rig.content(prefix) == path.read_bytes()
        assert outcome.size == path.stat().st_size


@pytest.mark.timeout(90)
@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize(
    "put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["fifo", "endless device"]
)
async def test_file_swapped_between_its_parts_fails(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    put: Callable[[Path], None],
    lane: str,
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(IN_PARTS))

    def hook(record: Record) -> None:
        if record.operation == "CreateMultipartUpload" and path.is_file():
            path.unlink()
            put(path)

    async with behind_proxy(server, bucket, lane=lane, max_requests=1) as rig:
        rig.proxy.hook = hook
        outcome = await rig.upload(path, prefix)
    assert (outcome.status, outcome.error) == ("failed", "source.special"), outcome.message()
    assert rig.content(prefix) is None
    assert bucket.open_uploads(prefix) == []
