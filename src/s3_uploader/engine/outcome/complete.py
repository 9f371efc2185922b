"""Complete a multipart upload, and find out whether it happened when no response says so.

CompleteMultipartUpload may take effect although its response is lost, is not the store's, or says
524, NoSuchUpload or InvalidPart. Then HEAD decides (`head`): the object is ours, or has our content
and the store no longer knows the upload.
"""

import itertools
import time
from dataclasses import dataclass, replace
from typing import Literal

import anyio

from s3_uploader.engine.call import Call, FileJob
from s3_uploader.engine.journal import SentPart
from s3_uploader.engine.outcome.head import Content, Published, budget, damaged, look
from s3_uploader.engine.outcome.put import LOOKS, may_have_happened
from s3_uploader.engine.upload import Upload
from s3_uploader.errors import (
    IntegrityError,
    OutcomeUnknownError,
    S3UploaderError,
    StoreError,
)
from s3_uploader.sizes import GIB
from s3_uploader.store import CompletedPart, Receipt

_SHORTEST_POLL, _LONGEST_POLL = 0.05, 15.0
_MERGE_SECONDS_PER_GIB = 2.0
"""Before a Complete is repeated the store gets this long to end the first: RunPod merged 38 GB in
7.5 minutes behind a 524."""

_CONSUMED = frozenset({"NoSuchUpload", "InvalidPart"})
_DAMAGED = frozenset({"BadDigest", "XAmzContentChecksumMismatch"})


class PartsLostError(S3UploaderError):
    """The store misses parts it had taken: `numbers`."""

    def __init__(self, numbers: frozenset[int], key: str) -> None:
        super().__init__("store.parts_lost", count=len(numbers), key=key)
        self.numbers = numbers


@dataclass(slots=True)
class _Evidence:
    """What is known of an upload whose Complete did not end in success.

    Attributes:
        until: monotonic seconds when to give up, 0 as long as nothing has failed.
        maybe: an attempt may have taken effect.
        upload: what the listing of its parts has last said of it.
    """

    until: float = 0.0
    maybe: bool = False
    upload: Literal["unsure", "open", "gone"] = "unsure"


async def publish(
    call: Call,
    job: FileJob,
    upload: Upload,
    content: Content,
    parts: list[SentPart],
    *,
    resends: int,
    crc64nvme: str = "",
) -> Published:
    """Complete the upload and return the object once it is known to be ours.

    `crc64nvme` is the whole object's, "" if unknown.

    Raises:
        IntegrityError: what is at the key is ours and has other content, or the store says so.
        PartsLostError: the store has lost parts; at most when `resends` are left.
        OutcomeUnknownError: nothing told, within the time allowed, whether it was published.
        StoreError: it was not published.
    """
    completed = [CompletedPart(part.number, part.etag) for part in parts]
    evidence = _Evidence()

    async def complete() -> Receipt:
        return await _complete(call, job, upload, completed, crc64nvme)

    for number in itertools.count(1):
        try:
            receipt = await call.attempt(complete)
        except StoreError as error:
            failure = error
        else:
            return await _confirmed(call, job, content, receipt)
        delay = _delay(call, job, failure, evidence, number)
        consumed = failure.s3_code in _CONSUMED
        if consumed or delay is None:
            # What the store says of the upload may not be true: the listing tells.
            await _check_parts(call, job, upload, parts, evidence, resends if consumed else 0)
        found = await _poll(call, job, upload, content, evidence, delay)
        if found is not None:
            return found
        if delay is None or evidence.upload == "gone":
            if evidence.upload == "open" and not evidence.maybe:
                raise failure
            raise OutcomeUnknownError("outcome.unknown", key=job.key, reason=str(failure))
        await call.back_off(job, "CompleteMultipartUpload", number, failure, delay)
    raise AssertionError("unreachable: the loop has no end")


def _delay(
    call: Call, job: FileJob, failure: StoreError, evidence: _Evidence, number: int
) -> float | None:
    """Take failed attempt `number` into account; return the seconds to wait, None if it was last.

    Raises:
        StoreError: `failure`, which refuses for good; and no attempt may have taken effect.
    """
    evidence.until = evidence.until or time.monotonic() + budget(call, job)
    if failure.retryable or failure.s3_code in _CONSUMED:
        evidence.maybe |= failure.s3_code in _CONSUMED or may_have_happened(failure)
        return call.delay(job, failure.as_retryable(), number)
    if not evidence.maybe:
        raise failure
    return None


async def _complete(
    call: Call, job: FileJob, upload: Upload, parts: list[CompletedPart], crc64nvme: str
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


async def _confirmed(call: Call, job: FileJob, content: Content, receipt: Receipt) -> Published:
    """Return the object that a response names, or HEAD's where its ETag is not what was sent."""
    etag, crc = receipt.etag.lower(), receipt.crc64nvme
    told = Published(receipt.etag, "response", receipt.opaque, crc)
    if etag and etag == content.composite and not receipt.opaque:
        return Published(receipt.etag, "composite", crc64nvme=crc)
    if not content.composite or receipt.opaque:
        return told
    if await content.is_whole(etag):
        return Published(receipt.etag, "whole", crc64nvme=crc)
    until = time.monotonic() + budget(call, job)
    for pause in itertools.chain(LOOKS, itertools.repeat(LOOKS[-1])):
        seen = await look(call, job, content)
        if seen.published is not None:
            return replace(seen.published, crc64nvme=crc)
        if seen.likeness == "damaged" and seen.info is not None:
            raise damaged(job, content, seen.info)
        if seen.likeness == "other" and pause == LOOKS[-1]:
            break
        if time.monotonic() >= until:
            # It says that it has published, and does not show what.
            named = {"actual": receipt.etag, "expected": content.composite}
            reason = str(IntegrityError("integrity.etag", key=job.key, **named))
            raise OutcomeUnknownError("outcome.unknown", key=job.key, reason=reason)
        await anyio.sleep(pause)
    return told


async def _poll(
    call: Call,
    job: FileJob,
    upload: Upload,
    content: Content,
    evidence: _Evidence,
    delay: float | None,
) -> Published | None:
    """Look for our object: until the time is up where only HEAD can tell, else for a while."""
    until = evidence.until
    if delay is not None and evidence.upload != "gone":
        until = min(until, time.monotonic() + _MERGE_SECONDS_PER_GIB * job.size / GIB)
    elif not evidence.maybe:
        until = 0.0
    pause = _SHORTEST_POLL
    while True:
        seen = await look(call, job, content)
        if seen.likeness == "damaged" and seen.info is not None:
            raise damaged(job, content, seen.info)
        same = seen.likeness == "same"
        if same and delay is None and evidence.upload == "unsure":
            await _check_parts(call, job, upload, [], evidence, 0)
        if seen.likeness == "ours" or (same and evidence.upload == "gone"):
            return seen.published
        left = until - time.monotonic()
        if left <= 0:
            return None
        await anyio.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_POLL)


async def _check_parts(
    call: Call,
    job: FileJob,
    upload: Upload,
    parts: list[SentPart],
    evidence: _Evidence,
    resends: int,
) -> None:
    """Find out whether the upload is really consumed.

    Raises:
        PartsLostError: it is open, and parts are missing or others than were sent.
    """
    evidence.upload = "unsure"
    try:
        stored = await call.attempt(lambda: call.store.list_parts(job.key, upload.upload_id))
    except StoreError as error:
        if error.code == "store.no_such_upload":
            evidence.upload = "gone"
        return
    # An empty listing is what some stores give for an upload they no longer know.
    evidence.upload = "open" if stored else "gone"
    if not stored:
        return
    held = {(part.number, part.size, part.etag.lower()) for part in stored}
    lost = frozenset(
        part.number for part in parts if (part.number, part.size, part.etag.lower()) not in held
    )
    if lost and resends:
        raise PartsLostError(lost, job.key)
