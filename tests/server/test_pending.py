"""Interrupted multipart uploads: listed, resumed, aborted, and never those of others."""

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from behind_proxy import BOTH_LANES, LIMIT_SECONDS, PART, behind_proxy
from conftest import Bucket
from s3_uploader import StoreError, Uploader, UploadFailedError
from s3_uploader.events import PartReused
from s3_uploader.testing import Effect, Fault, LocalS3Server, Record
from s3_uploader.testing.faults.request import Request

pytestmark = pytest.mark.anyio

PARTS = 3
SIZE = 2 * PART + 1_000
REFUSED = "UploadPart:503:part=3"
"""The upload fails for a reason that may pass, so it is kept."""


@pytest.fixture
def data() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture
def path(tmp_path: Path, data: bytes) -> Path:
    file = tmp_path / "f"
    file.write_bytes(data)
    return file


@pytest.fixture
def journal(tmp_path: Path) -> str:
    return str(tmp_path / "journal.db")


def begin(bucket: Bucket, key: str) -> str:
    """Begin an upload that is not ours."""
    created = bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    return str(created["UploadId"])


@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_kept_upload_is_listed_and_resumed(
    server: LocalS3Server,
    bucket: Bucket,
    path: Path,
    data: bytes,
    prefix: str,
    journal: str,
    lane: str,
) -> None:
    async with behind_proxy(
        server, bucket, REFUSED, lane=lane, journal=journal, max_requests=1
    ) as rig:
        assert (await rig.upload(path, prefix)).status == "failed"
        assert "upload.kept" in rig.warnings
        (kept,) = await rig.uploader.pending_uploads()
        assert (kept.key, kept.path, kept.size) == (prefix, str(path), SIZE)
        assert (kept.ours, kept.active, kept.sent) == (True, False, 2 * PART)
        assert bucket.open_uploads(prefix) == [prefix]
        assert await rig.uploader.pending_uploads("elsewhere") == []
        rig.proxy.clear()
        sent = rig.proxy.count("UploadPart")
        outcome = await rig.upload(path, prefix)
        assert outcome.ok
        assert outcome.reused == 2 * PART
        assert rig.proxy.count("UploadPart") == sent + 1
        assert sum(isinstance(event, PartReused) for event in rig.events) == 2
        assert await rig.uploader.pending_uploads(prefix, foreign=True) == []
    assert rig.content(prefix) == data
    assert bucket.open_uploads(prefix) == []


async def test_kept_upload_is_listed_by_the_next_process(
    server: LocalS3Server, bucket: Bucket, path: Path, prefix: str, journal: str
) -> None:
    """Another Uploader with the same journal, before the same endpoint."""
    async with behind_proxy(server, bucket, REFUSED, journal=journal) as rig:
        await rig.upload(path, prefix)
        async with Uploader(rig.proxy.profile(server), config=rig.config) as other:
            (kept,) = await other.pending_uploads(prefix)
            assert await other.abort_upload(kept.key, kept.upload_id)
        assert await rig.uploader.pending_uploads(prefix) == []
    assert bucket.open_uploads(prefix) == []


async def test_kept_upload_is_aborted(
    server: LocalS3Server, bucket: Bucket, path: Path, prefix: str, journal: str
) -> None:
    async with behind_proxy(server, bucket, REFUSED, journal=journal) as rig:
        await rig.upload(path, prefix)
        (kept,) = await rig.uploader.pending_uploads(prefix)
        assert await rig.uploader.abort_upload(kept.key, kept.upload_id) is True
        assert await rig.uploader.pending_uploads(prefix) == []
        assert bucket.open_uploads(prefix) == []
        # Nothing is left to resume.
        rig.proxy.clear()
        outcome = await rig.upload(path, prefix)
        assert (outcome.ok, outcome.reused) == (True, 0)


async def test_refused_abort_leaves_the_upload_listed(
    server: LocalS3Server, bucket: Bucket, path: Path, prefix: str, journal: str
) -> None:
    async with behind_proxy(server, bucket, REFUSED, journal=journal) as rig:
        await rig.upload(path, prefix)
        (kept,) = await rig.uploader.pending_uploads(prefix)
        rig.proxy.inject("AbortMultipartUpload:500")
        assert await rig.uploader.abort_upload(kept.key, kept.upload_id) is False
        assert await rig.uploader.pending_uploads(prefix) == [kept]
        rig.proxy.clear()
        assert await rig.uploader.abort_upload(kept.key, kept.upload_id) is True
    assert bucket.open_uploads(prefix) == []


async def test_upload_gone_from_the_store_is_aborted_and_forgotten(
    server: LocalS3Server, bucket: Bucket, path: Path, prefix: str, journal: str
) -> None:
    async with behind_proxy(server, bucket, REFUSED, journal=journal) as rig:
        await rig.upload(path, prefix)
        (kept,) = await rig.uploader.pending_uploads(prefix)
        bucket.client.abort_multipart_upload(
            Bucket=bucket.name, Key=prefix, UploadId=kept.upload_id
        )
        assert await rig.uploader.abort_upload(kept.key, kept.upload_id) is True
        assert await rig.uploader.pending_uploads(prefix) == []


@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_uploads_of_others_are_listed_on_request_and_aborted_by_force(
    server: LocalS3Server, bucket: Bucket, path: Path, prefix: str, journal: str, lane: str
) -> None:
    foreign = begin(bucket, f"{prefix}/theirs")
    async with behind_proxy(server, bucket, REFUSED, lane=lane, journal=journal) as rig:
        uploader = rig.uploader
        await rig.upload(path, f"{prefix}/ours")
        (kept,) = await uploader.pending_uploads(prefix)
        both = {
            upload.key: upload for upload in await uploader.pending_uploads(prefix, foreign=True)
        }
        assert set(both) == {f"{prefix}/theirs", f"{prefix}/ours"}
        assert both[f"{prefix}/ours"] == kept
        theirs = both[f"{prefix}/theirs"]
        assert (theirs.upload_id, theirs.ours, theirs.path) == (foreign, False, "")
        assert theirs.begun > 0
        for key in (theirs.key, kept.key):
            # Neither the wrong key nor the right one gets at somebody else's.
            with pytest.raises(UploadFailedError) as raised:
                await uploader.abort_upload(key, foreign)
            assert raised.value.code == "upload.foreign"
        assert bucket.open_uploads(f"{prefix}/theirs") == [theirs.key]
        assert await uploader.abort_upload(theirs.key, foreign, force=True) is True
        assert await uploader.pending_uploads(prefix, foreign=True) == [kept]
        assert await uploader.abort_upload(kept.key, kept.upload_id)
    assert bucket.open_uploads(prefix) == []


async def test_store_that_cannot_list_fails_only_requests_for_a_listing(
    server: LocalS3Server, bucket: Bucket, path: Path, prefix: str, journal: str
) -> None:
    faults = [REFUSED, "ListMultipartUploads:501"]
    async with behind_proxy(server, bucket, *faults, journal=journal) as rig:
        await rig.upload(path, prefix)
        (kept,) = await rig.uploader.pending_uploads(prefix)
        with pytest.raises(StoreError) as raised:
            await rig.uploader.pending_uploads(prefix, foreign=True)
        assert raised.value.status == 501
        await rig.uploader.abort_upload(kept.key, kept.upload_id)


async def test_upload_in_progress_is_active_and_not_aborted(
    server: LocalS3Server, bucket: Bucket, path: Path, data: bytes, prefix: str, journal: str
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hook(record: Record) -> None:
        if record.operation == "CompleteMultipartUpload":
            reached.set()
            go_on.wait(LIMIT_SECONDS)

    async with behind_proxy(server, bucket, journal=journal) as rig:
        rig.proxy.hook = hook
        uploader = rig.uploader
        with anyio.fail_after(LIMIT_SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(rig.upload, path, prefix)
                await anyio.to_thread.run_sync(reached.wait, LIMIT_SECONDS)
                try:
                    (active,) = await uploader.pending_uploads(prefix)
                    assert active.active
                    for force in (False, True):
                        with pytest.raises(UploadFailedError) as raised:
                            await uploader.abort_upload(prefix, active.upload_id, force=force)
                        assert raised.value.code == "upload.active"
                finally:
                    go_on.set()
        assert await uploader.pending_uploads(prefix) == []
    assert rig.content(prefix) == data


async def test_without_a_journal_no_upload_is_kept_or_known(
    server: LocalS3Server, bucket: Bucket, path: Path, prefix: str
) -> None:
    foreign = begin(bucket, f"{prefix}/theirs")
    async with behind_proxy(server, bucket, REFUSED) as rig:
        await rig.upload(path, prefix)
        assert await rig.uploader.pending_uploads(prefix) == []
        (theirs,) = await rig.uploader.pending_uploads(prefix, foreign=True)
        assert await rig.uploader.abort_upload(theirs.key, foreign, force=True)
    assert bucket.open_uploads(prefix) == []


async def test_newest_upload_comes_first(
    server: LocalS3Server, bucket: Bucket, path: Path, prefix: str, journal: str
) -> None:
    async with behind_proxy(server, bucket, REFUSED, journal=journal) as rig:
        for name in ("1", "2"):
            await rig.upload(path, f"{prefix}/{name}")
        listed = await rig.uploader.pending_uploads(prefix)
        assert [upload.key for upload in listed] == [f"{prefix}/2", f"{prefix}/1"]
        for upload in listed:
            await rig.uploader.abort_upload(upload.key, upload.upload_id)


@dataclass(frozen=True)
class BegunOn(Effect):
    """Lists uploads by key, as Amazon S3 does, each initiated on the day that its key ends in."""

    operations = ("ListMultipartUploads",)
    bodies = ("ListMultipartUploads",)

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        del request, random_bits
        keys = sorted(re.findall(rb"<Key>([^<]*)</Key>", body))
        uploads = re.findall(rb"<Upload>.*?</Upload>", body, re.DOTALL)
        listed = b""
        for key in keys:
            (upload,) = (one for one in uploads if b"<Key>%b</Key>" % key in one)
            initiated = b"<Initiated>2026-01-0%bT00:00:00Z" % key[-1:]
            listed += re.sub(rb"<Initiated>[^<]*", initiated, upload)
        return re.sub(rb"<Upload>.*</Upload>", listed, body, flags=re.DOTALL)


async def test_newest_upload_of_others_comes_first(
    server: LocalS3Server, bucket: Bucket, prefix: str
) -> None:
    """Neither in the order of their keys, nor in that of their creation."""
    names = ("a2", "b3", "c1")
    for name in names:
        begin(bucket, f"{prefix}/{name}")
    async with behind_proxy(server, bucket, Fault("ListMultipartUploads", BegunOn())) as rig:
        listed = await rig.uploader.pending_uploads(prefix, foreign=True)
        assert [upload.key for upload in listed] == [f"{prefix}/{n}" for n in ("b3", "a2", "c1")]
        for upload in listed:
            assert await rig.uploader.abort_upload(upload.key, upload.upload_id, force=True)


async def test_upload_that_could_not_be_aborted_stays_listed(
    server: LocalS3Server, bucket: Bucket, path: Path, prefix: str, journal: str
) -> None:
    """The file changes, so it is of no more use; and the store does not let go of it."""
    faults = ["AbortMultipartUpload:500"]
    async with behind_proxy(server, bucket, *faults, journal=journal, max_requests=1) as rig:
        rig.proxy.hook = lambda record: os.truncate(path, PART + 7) if record.part == 2 else None
        assert (await rig.upload(path, prefix)).error == "source.changed"
        assert bucket.open_uploads(prefix) == [prefix]
        (left,) = await rig.uploader.pending_uploads(prefix)
        rig.proxy.clear()
        assert await rig.uploader.abort_upload(prefix, left.upload_id)
    assert bucket.open_uploads(prefix) == []


@pytest.mark.parametrize("policy", ["keep", "abort"])
async def test_cancelled_upload_is_pending_if_it_was_to_be_kept(
    server: LocalS3Server,
    bucket: Bucket,
    path: Path,
    data: bytes,
    prefix: str,
    journal: str,
    policy: str,
) -> None:
    stall = "UploadPart:stall:after=100:part=3"
    async with behind_proxy(server, bucket, stall, journal=journal, on_cancel=policy) as rig:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rig.upload, path, prefix)
            await anyio.to_thread.run_sync(rig.proxy.wait_for, "UploadPart", PARTS)
            with anyio.fail_after(LIMIT_SECONDS):
                # The two others arrive, and are noted.
                while [it.sent for it in await rig.uploader.pending_uploads()] != [2 * PART]:
                    assert rig.proxy.count("CompleteMultipartUpload") == 0
            tasks.cancel_scope.cancel()
        listed = await rig.uploader.pending_uploads(prefix)
        assert [upload.sent for upload in listed] == ([2 * PART] if policy == "keep" else [])
        assert len(bucket.open_uploads(prefix)) == len(listed)
        rig.proxy.clear()
        outcome = await rig.upload(path, prefix)
        assert (outcome.ok, outcome.reused) == (True, 2 * PART if policy == "keep" else 0)
    assert rig.content(prefix) == data
