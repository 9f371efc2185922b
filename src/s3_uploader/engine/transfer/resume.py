"""Find an interrupted upload to resume: which one, and what the store still holds of it."""

import itertools
from dataclasses import dataclass, replace

import anyio

from s3_uploader.checksums import expected_etag
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.journal import Journal, SentPart, UploadRecord
from s3_uploader.engine.outcome import Content, Published
from s3_uploader.engine.outcome import find as find_object
from s3_uploader.engine.outcome.lost_create import known_ids, look_for
from s3_uploader.engine.transfer.multipart import GRACE, discard
from s3_uploader.engine.upload import Upload
from s3_uploader.errors import S3UploaderError, StoreError
from s3_uploader.plan import PartPlan
from s3_uploader.source import Fingerprint
from s3_uploader.store import StoredPart, UploadInfo

_LISTINGS = 3
"""Attempts to list what the store holds: without it the journal has to do."""


@dataclass(frozen=True, slots=True)
class Resumable:
    """What an interrupted upload left.

    Attributes:
        upload: to be resumed; its `known` parts are what the store, or else the journal, shows.
        published: the object, where the interrupted upload had completed already.
    """

    upload: Upload
    published: Published | None = None


async def find_resumable(job: FileJob) -> Resumable | None:
    """Return what an interrupted upload to this key left, None if there is nothing of use.

    A file that has the same size is worth trying: a restart may have given it another path, inode,
    device or time, and its parts are used only if they are what its bytes hash to now. Of several
    uploads the most promising is resumed. Our others are of no more use, and are aborted.
    """
    found = None
    if job.journal is not None and job.source.identity is not None:
        found = await _of_journal(job, job.journal, job.source.identity)
    if found is None and job.call.config.adopt:
        found = await _adopt(job)
    return found


async def _of_journal(job: FileJob, journal: Journal, identity: Fingerprint) -> Resumable | None:
    found: Resumable | None = None
    claimed: list[UploadRecord] = []
    with anyio.move_on_after(GRACE, shield=True):
        claimed = await journal.claim(job.place)
    await job.call.warn_if_journal_broken()
    open_ones = [record for record in claimed if record.upload_id]

    def promise(record: UploadRecord) -> tuple[bool, int, int]:
        """Return a greater value for an upload that promises more to this file."""
        sent = sum(part.size for part in record.parts.values())
        return record.fingerprint == identity, sent, record.row

    try:
        open_ones += await look_for(job.call, [one for one in claimed if not one.upload_id])
        for record in sorted(open_ones, key=promise, reverse=True):
            if found is None and _fits(job, record):
                found = await _examine(job, record)
            if found is None or found.upload.row != record.row:
                await discard(job.call, record)
            elif (record.path, record.fingerprint) != (job.source.path, identity):
                await journal.take_over(record.row, job.source.path, identity)
    except BaseException:
        with anyio.move_on_after(GRACE, shield=True):
            for record in open_ones:
                await journal.release(record.row)
        raise
    return found


def _fits(job: FileJob, record: UploadRecord) -> bool:
    created_so = record.options in {"", job.options.text()}
    same_size = record.fingerprint.size == job.size
    return created_so and same_size and _possible(job, record.part_size)


def _possible(job: FileJob, part_size: int) -> bool:
    """Return whether the store takes the file in such parts."""
    limits = job.call.limits
    fits = limits.min_part <= part_size <= limits.max_part
    return fits and -(-job.size // part_size) <= limits.max_parts


async def _examine(job: FileJob, record: UploadRecord) -> Resumable | None:
    """Ask the store what it holds of a recorded upload; None if it cannot be resumed."""
    upload = Upload.of(record)
    try:
        stored = await _list_parts(job, record.upload_id)
    except StoreError as error:
        if error.s3_code != "NoSuchUpload":
            # A listing may be unavailable for a while; the journal knows what was sent.
            return Resumable(upload)
        published = await _published(job, upload)
        return Resumable(upload, published) if published else None
    if not stored and record.parts:
        published = await _published(job, upload)
        if published:
            return Resumable(upload, published)
    return Resumable(replace(upload, known=_held(stored, record.parts)))


async def _list_parts(job: FileJob, upload_id: str) -> list[StoredPart]:
    for number in itertools.count(1):
        try:
            return await job.call.attempt(lambda: job.call.store.list_parts(job.key, upload_id))
        except StoreError as error:
            failure = error
        delay = job.delay(failure, number) if number < _LISTINGS else None
        if delay is None:
            raise failure
        await job.back_off("ListParts", number, failure, delay)
    raise AssertionError("unreachable: the loop has no end")


async def _published(job: FileJob, upload: Upload) -> Published | None:
    """Return the object if the interrupted upload had sent all and completed."""
    plan = PartPlan(job.size, upload.part_size)
    parts = [upload.known[part.number] for part in plan if part.number in upload.known]
    if len(parts) != plan.count:
        return None
    composite = expected_etag([part.etag for part in parts])
    pauses = job.call.store.provider.quirks.denial_pauses
    return await find_object(job, Content(job, composite, upload.token), pauses)


async def _adopt(job: FileJob) -> Resumable | None:
    """Find an open upload of this key that the journal does not know, the newest first."""
    try:
        uploads = await job.call.store.list_multipart_uploads(job.key)
    except StoreError:
        return None
    known = await known_ids(job.call, job.key)
    candidates = [
        upload for upload in uploads if upload.key == job.key and upload.upload_id not in known
    ]
    for candidate in sorted(candidates, key=lambda upload: -upload.initiated):
        found = await _adoptable(job, candidate)
        if found is not None:
            return found
    return None


async def _adoptable(job: FileJob, candidate: UploadInfo) -> Resumable | None:
    try:
        stored = await job.call.store.list_parts(job.key, candidate.upload_id)
    except S3UploaderError:
        return None
    # All parts but the last are equal, and the last is not larger.
    part_size = max((part.size for part in stored), default=0)
    if not part_size or not _possible(job, part_size):
        return None
    row, journal, source = 0, job.journal, job.source
    if journal is not None and source.identity is not None:
        row = await journal.insert_upload(job.place, "", source.path, source.identity, part_size)
        await journal.set_upload_id(row, candidate.upload_id)
    return Resumable(Upload(candidate.upload_id, "", row, part_size, known=_held(stored, {})))


def _held(stored: list[StoredPart], recorded: dict[int, SentPart]) -> dict[int, SentPart]:
    """Return what the store shows of each part; as recorded where its ETag is the recorded one.

    A store may also show older versions of a part that was re-sent: the recorded one is preferred.
    """
    held: dict[int, SentPart] = {}
    for part in stored:
        own = recorded.get(part.number)
        if own is not None and (own.etag, own.size) == (part.etag, part.size):
            held[part.number] = own
        elif part.number not in held:
            held[part.number] = SentPart(part.number, part.size, "", part.etag, "none")
    return held
