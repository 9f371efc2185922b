"""Publish an object, and find out whether it happened when the answer does not say.

CompleteMultipartUpload may take effect although its answer is lost, or says 524, NoSuchUpload or
InvalidPart. Then HEAD decides: the object is ours if it carries our token and no ETag that
contradicts, or has the ETag that our parts add up to and the store no longer knows the upload.
Never its size alone.
"""

import hashlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import anyio

from s3_uploader.engine.call import Call, Job
from s3_uploader.engine.journal import SentPart
from s3_uploader.engine.proof import composite_etag, is_md5, may_be_md5
from s3_uploader.errors import (
    IntegrityError,
    OutcomeUnknownError,
    S3UploaderError,
    StoreError,
)
from s3_uploader.plan import GIB
from s3_uploader.source import stoppable
from s3_uploader.store import CompletedPart, ObjectInfo, Receipt
from s3_uploader.store.answers import NO_CONNECTION

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

_CONFIRMING = (0.1, 0.3, 1.0)
"""Seconds between the looks at an object that is not what the answer to its upload says."""

_BLOCK = 1024 * 1024

_CONSUMED = frozenset({"NoSuchUpload", "InvalidPart"})
_DAMAGED = frozenset({"BadDigest", "XAmzContentChecksumMismatch"})
_REFUSED = frozenset({429, 503})
"""Answers that say: not now. Any other failure may hide a success."""

_UNREACHED = frozenset({"store.refused", "store.unknown_host", "store.tls"})
_LOST = frozenset({502, 504, *range(520, 528)})
"""A proxy's words for: no answer yet. What was asked may still happen."""


class PartsLostError(S3UploaderError):
    """The store misses parts it had taken: `numbers`."""

    def __init__(self, numbers: frozenset[int], key: str) -> None:
        super().__init__("store.parts_lost", count=len(numbers), key=key)
        self.numbers = numbers


@dataclass(slots=True)
class _Evidence:
    """What is known of an upload whose Complete was not answered by success.

    Attributes:
        until: monotonic seconds when to give up, 0 as long as nothing has failed.
        maybe: an attempt may have taken effect.
        upload: what the listing of its parts has last said of it.
    """

    until: float = 0.0
    maybe: bool = False
    upload: Literal["unsure", "open", "gone"] = "unsure"


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
    evidence = _Evidence()

    async def complete() -> Receipt:
        return await _complete(call, job, upload, completed, crc64nvme)

    for number in itertools.count(1):
        try:
            receipt = await call.attempt(complete)
        except StoreError as error:
            failure = error
        else:
            return await _confirmed(call, job, upload, receipt, expected)
        delay = _delay(call, job, failure, evidence, number)
        consumed = failure.s3_code in _CONSUMED
        if consumed or delay is None:
            # What the store says of the upload may not be true: the listing tells.
            await _check_parts(call, job, upload, parts, evidence, resends if consumed else 0)
        found = await _look(call, job, upload, expected, evidence, delay)
        if found is not None:
            # rclone's HEAD shows the MD5 of the whole, which says nothing about the parts'.
            return Receipt(found.etag, opaque=not found.etag.endswith(f"-{len(parts)}"))
        if delay is None or evidence.upload == "gone":
            if evidence.upload == "open" and not evidence.maybe:
                raise failure
            raise OutcomeUnknownError("outcome.unknown", key=job.key, reason=str(failure))
        await call.back_off(job, "CompleteMultipartUpload", number, failure, delay)
    raise AssertionError("unreachable: the loop has no end")


def _delay(
    call: Call, job: Job, failure: StoreError, evidence: _Evidence, number: int
) -> float | None:
    """Take failed attempt `number` into account; return the seconds to wait, None if it was last.

    Raises:
        StoreError: `failure`, which refuses for good; and no attempt may have taken effect.
    """
    evidence.until = evidence.until or time.monotonic() + _budget(call, job)
    if failure.retryable or failure.s3_code in _CONSUMED:
        evidence.maybe |= failure.status not in _REFUSED
        return call.delay(job, failure.as_retryable(), number)
    if not evidence.maybe:
        raise failure
    return None


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
    call: Call, job: Job, upload: Upload, expected: str, pauses: Sequence[float]
) -> ObjectInfo | None:
    """Return the object at the key if it is the work of this upload, which the store knows no more.

    Looked for once more after each of `pauses` (seconds), unless what is there is damaged.
    """
    for pause in (*pauses, None):
        kind, info = await _compare(call, job, upload, expected)
        if info is not None or kind == "damaged" or pause is None:
            return info
        await anyio.sleep(pause)
    return None


async def _confirmed(
    call: Call, job: Job, upload: Upload, receipt: Receipt, expected: str
) -> Receipt:
    """Return the receipt, or HEAD's where the answer's ETag is not what the parts add up to."""
    if not expected or receipt.opaque or receipt.etag.lower() == expected:
        return receipt
    until = time.monotonic() + _budget(call, job)
    for pause in itertools.chain(_CONFIRMING, itertools.repeat(_CONFIRMING[-1])):
        kind, info = await _compare(call, job, upload, expected)
        if kind == "damaged":
            break
        if info is not None:
            return replace(receipt, etag=info.etag, opaque=info.etag.lower() != expected)
        if kind == "other" and pause == _CONFIRMING[-1]:
            break
        if time.monotonic() >= until:
            # It says that it has published, and does not show what.
            reason = str(IntegrityError("integrity.etag", **_etags(job, receipt, expected)))
            raise OutcomeUnknownError("outcome.unknown", key=job.key, reason=reason)
        await anyio.sleep(pause)
    return receipt


def _etags(job: Job, receipt: Receipt, expected: str) -> dict[str, str]:
    return {"key": job.key, "actual": receipt.etag or "-", "expected": expected}


Likeness = Literal["ours", "damaged", "same", "other", "absent", "unseen"]


async def _compare(
    call: Call, job: Job, upload: Upload, expected: str
) -> tuple[Likeness, ObjectInfo | None]:
    """Ask what is at the key: ours, one of the same content, another, none; or no answer.

    The token tells whose work it is, not what is in it: "damaged" is ours by the token, with a size
    or an ETag that our parts do not add up to. `expected` is "" where ETags say nothing.
    """
    try:
        info = await call.attempt(lambda: call.store.head_object(job.key))
    except StoreError as error:
        return ("absent" if error.code == "store.not_found" else "unseen"), None
    etag = info.etag.lower()
    ours = bool(upload.token) and info.metadata.get(TOKEN) == upload.token
    if info.size == job.size:
        if etag == expected or (is_md5(etag) and etag == await _whole_md5(job, upload)):
            return ("ours" if ours else "same"), info
        if ours and not (expected and may_be_md5(etag)):
            return "ours", info
    return ("damaged" if ours else "other"), None


async def _whole_md5(job: Job, upload: Upload) -> str:
    """Return the MD5 of the whole file: some stores' ETag of an object that was sent in parts."""
    if "whole" not in upload.md5s:
        with suppress(OSError):
            upload.md5s["whole"] = await stoppable(partial(_md5_of_file, job.path))
    return upload.md5s.get("whole", "")


def _md5_of_file(path: str, stopped: Callable[[], bool]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while not stopped() and (block := file.read(_BLOCK)):
            digest.update(block)
    return digest.hexdigest()


async def _look(
    call: Call, job: Job, upload: Upload, expected: str, evidence: _Evidence, delay: float | None
) -> ObjectInfo | None:
    """Poll for our object: until the time is up where only HEAD can tell, else for a while."""
    until = evidence.until
    if delay is not None and evidence.upload != "gone":
        until = min(until, time.monotonic() + _MERGE_SECONDS_PER_GIB * job.size / GIB)
    elif not evidence.maybe:
        until = 0.0
    pause = _SHORTEST_POLL
    while True:
        kind, info = await _compare(call, job, upload, expected)
        if kind == "damaged":
            raise IntegrityError("integrity.parts", key=job.key, expected=expected or str(job.size))
        if kind == "same" and delay is None and evidence.upload == "unsure":
            await _check_parts(call, job, upload, [], evidence, 0)
        if kind == "ours" or (kind == "same" and evidence.upload == "gone"):
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


def _budget(call: Call, job: Job) -> float:
    if call.config.outcome_timeout is not None:
        return call.config.outcome_timeout
    return _BASE_SECONDS + _SECONDS_PER_GIB * job.size / GIB


# ------------------------------------------------------------------------- with one request


class Doubt:
    """Whether one of the attempts of a PutObject may have taken effect.

    Attributes:
        seldom: the store said: not now. It is hardly ever untrue.
        maybe: an attempt failed in another way that may hide a success.
        lost: an attempt was not answered by the store itself, so it may even happen later.
    """

    def __init__(self) -> None:
        self.seldom = self.maybe = self.lost = False

    def note(self, error: StoreError) -> None:
        """Take an attempt's failure into account."""
        connected = error.code not in _UNREACHED and error.params.get("detail") != NO_CONNECTION
        if error.retryable and connected:
            self.seldom = True
            self.maybe |= error.status not in _REFUSED
            self.lost |= error.status is None or error.status in _LOST


async def resolve_put(call: Call, job: Job, error: StoreError, doubt: Doubt, md5: str) -> str:
    """Return the ETag of the object if a PUT that ended with `error` took effect all the same.

    Raises:
        StoreError: `error`; it did not.
        OutcomeUnknownError: the store does not say what is there.
    """
    if not doubt.seldom:
        raise error
    until = time.monotonic() + _budget(call, job)
    for pause in (*_CONFIRMING, 0.0) if doubt.maybe else (0.0,):
        seen: StoreError | None = None
        other = False
        try:
            info = await call.attempt(lambda: call.store.head_object(job.key))
        except StoreError as unseen:
            seen = unseen
        else:
            etag = info.etag.lower()
            if md5 and etag == md5:
                return info.etag
            other = info.size != job.size or bool(md5 and is_md5(etag))
        if not pause or time.monotonic() + pause > until:
            break
        await anyio.sleep(pause)
    absent = seen is not None and seen.code == "store.not_found"
    if (absent or other) and not doubt.lost:
        raise error
    raise OutcomeUnknownError("outcome.unknown", key=job.key, reason=str(error)) from seen
