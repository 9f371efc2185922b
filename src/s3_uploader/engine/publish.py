"""Publish a multipart upload, and find out whether it happened when the answer does not say.

CompleteMultipartUpload may take effect although its answer is lost, or says 524, NoSuchUpload or
InvalidPart. Then HEAD decides: the object is ours if it carries our token, or has the ETag that
our parts add up to and the store no longer knows the upload. Never its size alone.
"""

import hashlib
import itertools
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

import anyio
from anyio import to_thread

from s3_uploader.engine.call import Call, Job
from s3_uploader.engine.journal import SentPart
from s3_uploader.engine.proof import composite_etag, is_md5
from s3_uploader.errors import IntegrityError, OutcomeUnknownError, S3UploaderError, StoreError
from s3_uploader.plan import GIB
from s3_uploader.store import CompletedPart, ObjectInfo, Receipt

TOKEN = "s3-uploader-token"  # noqa: S105  (the name of a metadata field)
"""User metadata of every object sent in parts: which upload made it."""

CRC_MARK = "crc64nvme-"
"""How the token of an upload begins that was created for parts with CRC-64/NVME.

Whoever goes on with it has to know: Amazon S3 takes no such part into another upload."""

_BASE_SECONDS, _SECONDS_PER_GIB = 60.0, 30.0
_SHORTEST_POLL, _LONGEST_POLL = 0.05, 15.0
_MERGE_SECONDS_PER_GIB = 2.0
"""Before a Complete is repeated the store gets this long to end the first: RunPod merged 38 GB in
7.5 minutes behind an answer of 524."""

_CONFIRMING = (0.1, 0.3, 1.0, 0.0)
"""Seconds between the looks at an object whose Complete answered another ETag."""

_CONSUMED = frozenset({"NoSuchUpload", "InvalidPart"})
_DAMAGED = frozenset({"BadDigest", "XAmzContentChecksumMismatch"})
_REFUSED = frozenset({429, 503})
"""Answers that say: not now. Any other failure may hide a success."""


class PartsLostError(S3UploaderError):
    """The store misses parts it had taken: `numbers`."""

    def __init__(self, numbers: frozenset[int], key: str) -> None:
        super().__init__("store.parts_lost", count=len(numbers), key=key)
        self.numbers = numbers


@dataclass(slots=True)
class _Evidence:
    """What is known of an upload whose Complete was not answered by success.

    Attributes:
        until: monotonic seconds when to give up.
        maybe: an attempt may have taken effect.
        consumed: the store has said that the upload, or its parts, are no more.
        listed: the store has since shown that the upload is still open.
    """

    until: float
    maybe: bool = False
    consumed: bool = False
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload of ours. `token` is in its object's metadata, where the store keeps it."""

    upload_id: str
    token: str
    row: int = 0
    part_size: int = 0
    known: Mapping[int, SentPart] = field(default_factory=dict)
    md5s: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def crc64nvme(self) -> bool:
        """Whether the store expects CRC-64/NVME with the parts."""
        return self.token.startswith(CRC_MARK)


async def publish(
    call: Call,
    job: Job,
    upload: Upload,
    parts: list[SentPart],
    *,
    resends: int,
    crc64nvme: str = "",
) -> Receipt:
    """Complete the upload and return the object's receipt once it is known to be ours.

    `crc64nvme` is the whole object's, "" if unknown.

    Raises:
        IntegrityError: the store says that what it holds has another `crc64nvme`.
        PartsLostError: the store has lost parts; at most when `resends` are left.
        OutcomeUnknownError: nothing told, within the time allowed, whether it was published.
        StoreError: it was not published.
    """
    expected = expected_etag(parts)
    completed = [CompletedPart(part.number, part.etag) for part in parts]
    evidence: _Evidence | None = None

    async def complete() -> Receipt:
        return await _complete(call, job, upload, completed, crc64nvme)

    for number in itertools.count(1):
        try:
            receipt = await call.attempt(complete)
        except StoreError as error:
            failure = error
        else:
            return await _confirmed(call, job, upload, receipt, expected)
        consumed = failure.s3_code in _CONSUMED
        if not (failure.retryable or consumed):
            raise failure
        if evidence is None:
            evidence = _Evidence(time.monotonic() + _budget(call, job))
        evidence.maybe |= failure.status not in _REFUSED
        evidence.consumed |= consumed
        if consumed:
            # Not asked again: only HEAD can still tell, or the listing that it was not true.
            await _check_parts(call, job, upload, parts, evidence, resends)
        delay = call.delay(job, failure.as_retryable(), number)
        found = await _look(call, job, upload, expected, evidence, delay)
        if found is not None:
            # rclone's HEAD shows the MD5 of the whole, which says nothing about the parts'.
            return Receipt(found.etag, opaque=not found.etag.endswith(f"-{len(parts)}"))
        if delay is None or (evidence.consumed and not evidence.listed):
            raise await _verdict(call, job, upload, expected, failure, evidence)
        await call.back_off(job, "CompleteMultipartUpload", number, failure, delay)
    raise AssertionError("unreachable: the loop has no end")


async def _complete(
    call: Call, job: Job, upload: Upload, parts: list[CompletedPart], crc64nvme: str
) -> Receipt:
    try:
        return await call.store.complete_multipart_upload(
            job.key, upload.upload_id, parts, crc64nvme=crc64nvme
        )
    except StoreError as error:
        if crc64nvme and error.s3_code in _DAMAGED:
            # Nothing is published, and asking again meets the same parts.
            raise IntegrityError("integrity.parts", key=job.key, expected=crc64nvme) from error
        raise


def expected_etag(parts: list[SentPart]) -> str:
    """Return the composite ETag of parts, from what the store said of each; "" if it is no MD5."""
    if all(is_md5(part.etag) for part in parts):
        return composite_etag(part.etag.lower() for part in parts)
    return ""


async def find(
    call: Call, job: Job, upload: Upload, expected: str, *, gone: bool = False
) -> ObjectInfo | None:
    """Return the object at the key if it is certainly the work of this upload.

    `gone`: the store no longer knows the upload, so an object of the same content is its work.
    """
    kind, info = await _compare(call, job, upload, expected)
    return info if kind == "ours" or (gone and kind == "same") else None


async def _confirmed(
    call: Call, job: Job, upload: Upload, receipt: Receipt, expected: str
) -> Receipt:
    """Return the receipt, or HEAD's where the answer's ETag is not what the parts add up to."""
    if not expected or receipt.opaque or receipt.etag.lower() == expected:
        return receipt
    for pause in _CONFIRMING:
        _, info = await _compare(call, job, upload, expected)
        if info is not None:
            return replace(receipt, etag=info.etag, opaque=info.etag.lower() != expected)
        await anyio.sleep(pause)
    return receipt


Likeness = Literal["ours", "same", "other", "unseen"]


async def _compare(
    call: Call, job: Job, upload: Upload, expected: str
) -> tuple[Likeness, ObjectInfo | None]:
    """Ask what is at the key: our object, one of the same content, another or none, no answer."""
    try:
        info = await call.attempt(lambda: call.store.head_object(job.key))
    except StoreError as error:
        return ("other" if error.code == "store.not_found" else "unseen"), None
    if info.size == job.size:
        if info.metadata.get(TOKEN) == upload.token:
            return "ours", info
        etag = info.etag.lower()
        if etag == expected or (is_md5(etag) and etag == await _whole_md5(job, upload)):
            return "same", info
    return "other", None


async def _whole_md5(job: Job, upload: Upload) -> str:
    """Return the MD5 of the whole file: some stores' ETag of an object that was sent in parts."""
    if "whole" not in upload.md5s:
        with suppress(OSError):
            upload.md5s["whole"] = await to_thread.run_sync(_md5_of_file, job.path)
    return upload.md5s.get("whole", "")


def _md5_of_file(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


async def _look(
    call: Call, job: Job, upload: Upload, expected: str, evidence: _Evidence, delay: float | None
) -> ObjectInfo | None:
    """Poll for our object: until the time is up where only HEAD can tell, else for a while."""
    gone = evidence.consumed and not evidence.listed
    until = evidence.until
    if delay is not None and not gone:
        until = min(until, time.monotonic() + _MERGE_SECONDS_PER_GIB * job.size / GIB)
    elif not evidence.maybe:
        until = 0.0
    pause = _SHORTEST_POLL
    while True:
        kind, info = await _compare(call, job, upload, expected)
        if kind == "ours" or (kind == "same" and gone):
            return info
        left = until - time.monotonic()
        if left <= 0:
            return None
        await anyio.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_POLL)


async def _check_parts(
    call: Call,
    job: Job,
    upload: Upload,
    parts: list[SentPart],
    evidence: _Evidence,
    resends: int,
) -> None:
    """Find out whether the upload is really consumed.

    Raises:
        PartsLostError: it is open, and parts are missing or others than were sent.
    """
    evidence.listed = False
    try:
        stored = await call.attempt(lambda: call.store.list_parts(job.key, upload.upload_id))
    except StoreError:
        return
    if not stored:
        # An empty listing is what some stores give for an upload they no longer know.
        return
    evidence.listed = True
    held = {(part.number, part.size, part.etag.lower()) for part in stored}
    lost = frozenset(
        part.number for part in parts if (part.number, part.size, part.etag.lower()) not in held
    )
    if lost and resends:
        raise PartsLostError(lost, job.key)


async def _verdict(
    call: Call,
    job: Job,
    upload: Upload,
    expected: str,
    failure: StoreError,
    evidence: _Evidence,
) -> S3UploaderError:
    """Return what to say when nothing more is to be tried."""
    if not evidence.maybe:
        # Refused each time; if the store still shows the upload, it was certainly not published.
        try:
            stored = await call.attempt(lambda: call.store.list_parts(job.key, upload.upload_id))
        except StoreError:
            stored = []
        if stored and await find(call, job, upload, expected) is None:
            return failure
    return OutcomeUnknownError("outcome.unknown", key=job.key, reason=str(failure))


def _budget(call: Call, job: Job) -> float:
    if call.config.outcome_timeout is not None:
        return call.config.outcome_timeout
    return _BASE_SECONDS + _SECONDS_PER_GIB * job.size / GIB
