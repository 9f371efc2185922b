"""A response that is not the store's never makes an older object pass for ours."""

import hashlib
import os
from collections import Counter
from pathlib import Path

import pytest

from behind_proxy import (
    BOTH_LANES,
    IN_PARTS,
    ProxyRig,
    behind_proxy,
    deleted_after,
    published,
    with_flipped_bit,
)
from conftest import Bucket
from s3_uploader import FileOutcome
from s3_uploader.testing import (
    DropMetadata,
    Fault,
    LocalS3Server,
    LoseResponse,
    Respond,
    SkewDate,
    WrongETag,
)
from s3_uploader.testing.faults.request import Request

pytestmark = pytest.mark.anyio

_SIZES = {"small": 1_000, "large": 300_000, "parts": IN_PARTS}
_NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_BODIES = {
    "empty": "",
    "html": "<html><body>Please sign in.</body></html>",
    "error": f"<Error {_NS}><Code>InternalError</Code><Message>m</Message></Error>",
    "prefixed-error": "<a:Error xmlns:a='u'><a:Code>InternalError</a:Code></a:Error>",
    "another-document": "<ListPartsResult/>",
}


def _publishing(size: str) -> str:
    return "CompleteMultipartUpload" if size == "parts" else "PutObject"


class Upload:
    """A file, and an older object of its size at its key."""

    def __init__(self, folder: Path, bucket: Bucket, key: str, size: int) -> None:
        self.key = key
        self.path = folder / "f"
        self.data = os.urandom(size)
        self.path.write_bytes(self.data)
        self.older = with_flipped_bit(self.data, size // 2)
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=self.older)

    def check(self, rig: ProxyRig, outcome: FileOutcome) -> None:
        """Compare what is said with what the server holds."""
        ours = published(rig.proxy.log, self.key)
        assert rig.content(self.key) == (self.data if ours else self.older)
        assert outcome.status in ({"committed", "unknown"} if ours else {"failed", "unknown"})


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("size", list(_SIZES))
@pytest.mark.parametrize("body", list(_BODIES))
@pytest.mark.parametrize("when", ["before", "after"])
async def test_false_200_is_no_success(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    lane: str,
    size: str,
    body: str,
    when: str,
) -> None:
    """Each response is such a 200: nothing was published, or it was and HEAD finds it."""
    upload = Upload(tmp_path, bucket, prefix, _SIZES[size])
    false = Respond(200, when="before" if when == "before" else "after", body=_BODIES[body])
    with deleted_after(bucket, prefix):
        async with behind_proxy(server, bucket, Fault(_publishing(size), false), lane=lane) as rig:
            outcome = await rig.upload(upload.path, prefix)
        upload.check(rig, outcome)
        if when == "after":
            assert outcome.status == "committed", outcome.message()
        _abort_all(bucket, prefix)


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("size", list(_SIZES))
async def test_single_false_200_does_no_harm(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str, size: str
) -> None:
    upload = Upload(tmp_path, bucket, prefix, _SIZES[size])
    fault = Fault(_publishing(size), Respond(200, body=_BODIES["html"]), first=1)
    with deleted_after(bucket, prefix):
        async with behind_proxy(server, bucket, fault, lane=lane) as rig:
            outcome = await rig.upload(upload.path, prefix)
        assert outcome.status == "committed", outcome.message()
        upload.check(rig, outcome)


def _with_etag(size: str, etag: str) -> Respond:
    if size == "parts":
        body = f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
        return Respond(200, body=body)
    return Respond(200, "", headers={"ETag": f'"{etag}"'})


@pytest.mark.parametrize("size", list(_SIZES))
@pytest.mark.parametrize("shown", ["true", "opaque"])
@pytest.mark.parametrize("integrity", ["auto", "off"])
async def test_older_object_never_passes_by_its_size(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    size: str,
    shown: str,
    integrity: str,
) -> None:
    """The response names an ETag that says nothing; HEAD shows an older object of the same size."""
    upload = Upload(tmp_path, bucket, prefix, _SIZES[size])
    faults = [Fault(_publishing(size), _with_etag(size, "named-by-nobody"))]
    if shown == "opaque":
        faults.append(Fault("HeadObject", WrongETag("another")))
    async with behind_proxy(server, bucket, *faults, integrity=integrity) as rig:
        outcome = await rig.upload(upload.path, prefix)
    if integrity == "off" and size != "parts":
        # Nothing was asked for but that the store says so.
        assert outcome.verified_by == "none"
        return
    upload.check(rig, outcome)
    _abort_all(bucket, prefix)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_object_is_looked_up_if_complete_returns_no_etag(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, when: str
) -> None:
    """As Ceph 16 responds; what is at the key decides."""
    upload = Upload(tmp_path, bucket, prefix, IN_PARTS)
    body = "<CompleteMultipartUploadResult><ETag></ETag></CompleteMultipartUploadResult>"
    silent = Respond(200, when="before" if when == "before" else "after", body=body)
    async with behind_proxy(server, bucket, Fault("CompleteMultipartUpload", silent)) as rig:
        outcome = await rig.upload(upload.path, prefix)
    upload.check(rig, outcome)
    if when == "after":
        assert (outcome.status, outcome.verified_by) == ("committed", "etag-md5")
        assert rig.statuses("CompleteMultipartUpload") == [200]
    _abort_all(bucket, prefix)


@pytest.mark.parametrize("size", list(_SIZES))
async def test_object_from_before_never_passes_by_its_etag(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, size: str
) -> None:
    """A store whose ETags are all the same: the age of the object decides."""
    upload = Upload(tmp_path, bucket, prefix, _SIZES[size])
    faults = [
        Fault(_publishing(size), _with_etag(size, "same")),
        # By its own clock an hour has passed since the object was changed.
        Fault("HeadObject", WrongETag("same") + SkewDate(3_600)),
    ]
    async with behind_proxy(server, bucket, *faults) as rig:
        outcome = await rig.upload(upload.path, prefix)
    assert outcome.status == "unknown", outcome.message()
    upload.check(rig, outcome)
    _abort_all(bucket, prefix)


@pytest.mark.parametrize("size", ["small", "large"])
async def test_object_written_just_before_never_passes_where_all_etags_are_the_same(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, size: str
) -> None:
    """Ages are known to the second: until ETags have differed, an object is read back."""
    upload = Upload(tmp_path, bucket, prefix, _SIZES[size])
    faults = [
        Fault("PutObject", _with_etag(size, "same")),
        Fault("HeadObject", WrongETag("same")),
    ]
    async with behind_proxy(server, bucket, *faults) as rig:
        outcome = await rig.upload(upload.path, prefix)
    assert outcome.status == "unknown", outcome.message()
    upload.check(rig, outcome)


@pytest.mark.parametrize("size", list(_SIZES))
async def test_etag_of_the_response_on_a_new_object_proves_its_size(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, size: str
) -> None:
    """A store whose ETags are no digests, as under SSE-KMS."""
    upload = Upload(tmp_path, bucket, prefix, _SIZES[size])
    opaque = WrongETag("a-version")
    faults = [Fault(_publishing(size), opaque), Fault("HeadObject", opaque)]
    async with behind_proxy(server, bucket, *faults) as rig:
        outcome = await rig.upload(upload.path, prefix)
    assert (outcome.status, outcome.verified_by) == ("committed", "size"), outcome.message()
    upload.check(rig, outcome)


# ---------------------------------------------------------------- the MD5 of the whole for parts


@pytest.mark.parametrize("where", ["complete", "head", "both"])
async def test_md5_of_the_whole_proves_an_object_sent_in_parts(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, where: str
) -> None:
    """The ETag of s3rver and localbucket, and what rclone's HEAD shows."""
    upload = Upload(tmp_path, bucket, prefix, IN_PARTS)
    whole = WrongETag(hashlib.md5(upload.data, usedforsecurity=False).hexdigest())
    faults = {
        "complete": [Fault("CompleteMultipartUpload", whole)],
        "head": [
            Fault("CompleteMultipartUpload", WrongETag("opaque")),
            Fault("HeadObject", whole + DropMetadata()),
        ],
        "both": [Fault("CompleteMultipartUpload", whole), Fault("HeadObject", whole)],
    }[where]
    async with behind_proxy(server, bucket, *faults) as rig:
        outcome = await rig.upload(upload.path, prefix)
        verified = await rig.uploader.verify_file(upload.path, prefix)
    assert (outcome.status, outcome.verified_by) == ("committed", "etag-md5"), outcome.message()
    assert verified.result == "same"
    upload.check(rig, outcome)


@pytest.mark.parametrize("complete", ["lost", "another"])
async def test_md5_of_another_file_is_never_proof(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, complete: str
) -> None:
    upload = Upload(tmp_path, bucket, prefix, IN_PARTS)
    other = WrongETag("0123456789abcdef" * 2)
    first = LoseResponse() if complete == "lost" else other
    faults = [
        Fault("CompleteMultipartUpload", first),
        Fault("HeadObject", other + DropMetadata()),
    ]
    async with behind_proxy(server, bucket, *faults) as rig:
        outcome = await rig.upload(upload.path, prefix)
    assert outcome.status != "committed", outcome.message()
    _abort_all(bucket, prefix)


# --------------------------------------------------------------- buckets that demand Content-MD5


class DemandMD5(Respond):
    """Refuses each body without Content-MD5 as Amazon S3 does where Object Lock is on."""

    operations = ("PutObject", "UploadPart")

    def applies_to(self, request: Request, memory: Counter[str]) -> bool:
        memory["refused"] += not request.head.get("content-md5")
        return not request.head.get("content-md5")


_OBJECT_LOCK = DemandMD5(
    400,
    body="<Error><Code>InvalidRequest</Code><Message>Content-MD5 OR x-amz-checksum- HTTP header is "
    "required for Put Object requests with Object Lock parameters</Message></Error>",
)


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("size", list(_SIZES))
@pytest.mark.parametrize("integrity", ["auto", "off"])
async def test_bucket_that_demands_content_md5_gets_it(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    lane: str,
    size: str,
    integrity: str,
) -> None:
    """Learnt from the first refusal, and remembered: a second file meets none."""
    upload = Upload(tmp_path, bucket, prefix, _SIZES[size])
    async with behind_proxy(
        server, bucket, Fault("*", _OBJECT_LOCK), lane=lane, integrity=integrity, max_requests=1
    ) as rig:
        outcome = await rig.upload(upload.path, prefix)
        refused = sum(record.status == 400 for record in rig.proxy.log)
        again = await rig.upload(upload.path, f"{prefix}/again")
    assert outcome.status == again.status == "committed", outcome.message()
    upload.check(rig, outcome)
    assert refused == (0 if size == "small" and integrity == "auto" else 1)
    assert sum(record.status == 400 for record in rig.proxy.log) == refused


async def test_body_refused_with_its_md5_is_a_failure(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    upload = Upload(tmp_path, bucket, prefix, 300_000)
    always = Respond(400, body=_OBJECT_LOCK.body)
    async with behind_proxy(server, bucket, Fault("PutObject", always)) as rig:
        outcome = await rig.upload(upload.path, prefix)
    assert (outcome.status, outcome.error) == ("failed", "store.needs_md5")
    upload.check(rig, outcome)


def _abort_all(bucket: Bucket, key: str) -> None:
    uploads = bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", [])
    for entry in uploads:
        if entry["Key"] == key:
            bucket.client.abort_multipart_upload(
                Bucket=bucket.name, Key=key, UploadId=entry["UploadId"]
            )
