"""Take up an upload that was interrupted: which one, and what the store still holds of it."""

import itertools
from dataclasses import dataclass, replace
from functools import partial

import anyio

from s3_uploader.engine.call import Call, FileJob
from s3_uploader.engine.journal import SentPart, UploadRecord
from s3_uploader.engine.outcome import Content, Published
from s3_uploader.engine.outcome import find as find_object
from s3_uploader.engine.outcome.create import known_ids, look_for
from s3_uploader.engine.outcome.proof import expected_etag
from s3_uploader.engine.transfer.multipart import GRACE, discard, warn_if_journal_broken
from s3_uploader.engine.upload import Upload
from s3_uploader.errors import S3UploaderError, StoreError
from s3_uploader.plan import PartPlan, StoreLimits
from s3_uploader.source import Fingerprint
from s3_uploader.store import StoredPart, UploadInfo

_LOOKS = (0.5, 1.0, 2.0, 4.0)
"""Seconds between the looks for an object: RunPod's HEAD denies existing ones for a while."""

_LISTINGS = 3
"""Attempts to list what the store holds: without it the journal tells as well."""


@dataclass(frozen=True, slots=True)
class Found:
    """What an interrupted upload left.

    Attributes:
        upload: to go on with; its `known` parts are what the store, or else the journal, shows.
        published: the object, where the interrupted upload had completed already.
    """

    upload: Upload
    published: Published | None = None


async def find_resumable(call: Call, job: FileJob, fingerprint: Fingerprint) -> Found | None:
    """Return what an interrupted upload to this key left, None if there is nothing of use.

    A file that has the same size is worth trying: a restart may have given it another path, inode,
    device or time, and its parts are used only if they are what its bytes hash to now. Of several
    uploads the most promising is taken. The others of ours are of no more use, and are aborted.
    """
    found = None
    if call.journal is not None:
        claimed: list[UploadRecord] = []
        with anyio.move_on_after(GRACE, shield=True):
            claimed = await call.journal.claim(call.place(job.key))
        await warn_if_journal_broken(call)
        open_ones = [record for record in claimed if record.upload_id]
        try:
            open_ones += await look_for(call, [one for one in claimed if not one.upload_id])
            for record in sorted(open_ones, key=partial(_promise, fingerprint), reverse=True):
                if found is None and _fits(call, job, record):
                    found = await _examine(call, job, fingerprint, record)
                if found is None or found.upload.row != record.row:
                    await discard(call, record)
                elif (record.path, record.fingerprint) != (job.path, fingerprint):
                    await call.journal.take_over(record.row, job.path, fingerprint)
        except BaseException:
            with anyio.move_on_after(GRACE, shield=True):
                for record in open_ones:
                    await call.journal.release(record.row)
            raise
    if found is None and call.config.adopt:
        found = await _adopt(call, job, fingerprint)
    return found


def _promise(fingerprint: Fingerprint, record: UploadRecord) -> tuple[bool, int, int]:
    """Return a greater value for an upload that promises more to this file."""
    sent = sum(part.size for part in record.parts.values())
    return record.fingerprint == fingerprint, sent, record.row


def _fits(call: Call, job: FileJob, record: UploadRecord) -> bool:
    same_size = record.fingerprint.size == job.size
    return same_size and _possible(record.part_size, job.size, call.limits)


async def _examine(
    call: Call, job: FileJob, fingerprint: Fingerprint, record: UploadRecord
) -> Found | None:
    """Ask the store what it holds of a noted upload; None if it cannot be gone on with."""
    upload = Upload(record.upload_id, record.token, record.row, record.part_size, record.parts)
    try:
        stored = await _list_parts(call, job, record.upload_id)
    except StoreError as error:
        if error.s3_code != "NoSuchUpload":
            # A listing may be unavailable for a while; the journal knows what was sent.
            return Found(upload)
        published = await _published(call, job, fingerprint, upload)
        return Found(upload, published) if published else None
    if not stored and record.parts:
        published = await _published(call, job, fingerprint, upload)
        if published:
            return Found(upload, published)
    return Found(replace(upload, known=_held(stored, record.parts)))


async def _list_parts(call: Call, job: FileJob, upload_id: str) -> list[StoredPart]:
    for number in itertools.count(1):
        try:
            return await call.attempt(lambda: call.store.list_parts(job.key, upload_id))
        except StoreError as error:
            failure = error
        delay = call.delay(job, failure, number) if number < _LISTINGS else None
        if delay is None:
            raise failure
        await call.back_off(job, "ListParts", number, failure, delay)
    raise AssertionError("unreachable: the loop has no end")


async def _published(
    call: Call, job: FileJob, fingerprint: Fingerprint, upload: Upload
) -> Published | None:
    """Return the object if the interrupted upload had sent all and completed."""
    plan = PartPlan(job.size, upload.part_size)
    parts = [upload.known[part.number] for part in plan if part.number in upload.known]
    if len(parts) != plan.count:
        return None
    composite = expected_etag([part.etag for part in parts])
    content = Content(job, fingerprint, composite, upload.token)
    return await find_object(call, job, content, _LOOKS)


async def _adopt(call: Call, job: FileJob, fingerprint: Fingerprint) -> Found | None:
    """Take up an open upload of this key that the journal does not know, the newest first."""
    try:
        uploads = await call.store.list_multipart_uploads(job.key)
    except StoreError:
        return None
    known = await known_ids(call, job.key)
    candidates = [
        upload for upload in uploads if upload.key == job.key and upload.upload_id not in known
    ]
    for candidate in sorted(candidates, key=lambda upload: -upload.initiated):
        found = await _adoptable(call, job, fingerprint, candidate)
        if found is not None:
            return found
    return None


async def _adoptable(
    call: Call, job: FileJob, fingerprint: Fingerprint, candidate: UploadInfo
) -> Found | None:
    try:
        stored = await call.store.list_parts(job.key, candidate.upload_id)
    except S3UploaderError:
        return None
    # All parts but the last are equal, and the last is not larger.
    part_size = max((part.size for part in stored), default=0)
    if not part_size or not _possible(part_size, job.size, call.limits):
        return None
    row = 0
    if call.journal is not None:
        place = call.place(job.key)
        row = await call.journal.begin(place, "", job.path, fingerprint, part_size)
        await call.journal.created(row, candidate.upload_id)
    return Found(Upload(candidate.upload_id, "", row, part_size, _held(stored, {})))


def _held(stored: list[StoredPart], noted: dict[int, SentPart]) -> dict[int, SentPart]:
    """Return what the store shows of each part; with our own MD5 where the ETag is the noted one.

    A store may also show older versions of a part that was sent again: the noted one is preferred.
    """
    held: dict[int, SentPart] = {}
    for part in stored:
        own = noted.get(part.number)
        if own is not None and (own.etag, own.size) == (part.etag, part.size):
            held[part.number] = own
        elif part.number not in held:
            held[part.number] = SentPart(part.number, part.size, "", part.etag, "none")
    return held


def _possible(part_size: int, size: int, limits: StoreLimits) -> bool:
    """Whether the store takes a file of `size` in such parts."""
    fits = limits.min_part <= part_size <= limits.max_part
    return fits and -(-size // part_size) <= limits.max_parts
