"""The way of one file: decided, sent, proven, its outcome emitted."""

import time
from dataclasses import replace

from s3_uploader.engine.call import Call
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.journal import CommittedFile
from s3_uploader.engine.outcome import Claim, Content, confirm_size
from s3_uploader.engine.outcome.etag import has_etag
from s3_uploader.engine.transfer.parts import put_parts
from s3_uploader.engine.transfer.put import SMALL_FILE_LIMIT, put_open, put_small
from s3_uploader.engine.transfer.stored import StoredFile
from s3_uploader.errors import OutcomeUnknownError, S3UploaderError, StoreError
from s3_uploader.events import FileFailed, FileStarted, FileUnknown, FileUploaded
from s3_uploader.sizes import MIB

_SHRINK_FACTOR = 4
"""A store that refuses a body is next sent bodies of this fraction: it does not say its limit."""


async def upload(job: FileJob) -> None:
    """Upload one file and emit its outcome. An expected failure is an event, not an exception."""
    began = time.monotonic()
    try:
        stored = await _store(job)
        if stored.claimed:
            stored = await _confirm(job, stored, began)
    except OutcomeUnknownError as error:
        if isinstance(error.__cause__, StoreError) and error.__cause__.fatal:
            job.call.stopped = error.__cause__
        await _emit_failure(FileUnknown, job, error, began)
    except S3UploaderError as error:
        if isinstance(error, StoreError) and error.fatal:
            job.call.stopped = error
        await fail(job, error, began)
    else:
        await job.emit(
            FileUploaded,
            etag=stored.etag,
            parts=stored.parts,
            verified_by=stored.verified_by,
            lane=job.call.store.lane,
            seconds=time.monotonic() - began,
            reused=stored.reused,
        )


async def fail(job: FileJob, error: S3UploaderError, began: float) -> None:
    """Emit the failure of a file; `began` is `time.monotonic()` at its start."""
    await _emit_failure(FileFailed, job, error, began)


async def _emit_failure(
    kind: type[FileFailed] | type[FileUnknown], job: FileJob, error: S3UploaderError, began: float
) -> None:
    job.call.directory_run.complete = False
    seconds = time.monotonic() - began
    await job.emit(kind, code=error.code, params=error.params, seconds=seconds)


async def _store(job: FileJob) -> StoredFile:
    """Bring the file to the store: small ones at once, others as an interrupted run left them."""
    call = job.call
    if job.size <= min(SMALL_FILE_LIMIT, call.tuning.multipart_threshold):
        await job.emit(FileStarted)
        stored = await put_small(job)
        if stored is not None:
            return stored
        # The file has grown past "small" since it was measured.
    await job.source.open()
    await job.emit(FileStarted)
    stored = await _already_committed(job)
    while stored is None:
        try:
            in_parts = job.size > call.tuning.multipart_threshold
            stored = await (put_parts(job) if in_parts else put_open(job))
        except StoreError as error:
            if error.code != "store.too_large" or not _shrink_body_limit(call, error):
                raise
            size, part_size = int(error.params["size"]), call.tuning.part_size
            await call.warn("upload.smaller_parts", size=size, key=job.key, part_size=part_size)
    if job.source.identity is not None:
        committed = CommittedFile(stored.etag, stored.parts, stored.verified_by)
        call.directory_run.record(job.key, job.source.identity, committed)
    return stored


async def _confirm(job: FileJob, stored: StoredFile, began: float) -> StoredFile:
    """Compare what HEAD shows with what the response named, where its ETag proves nothing."""
    content = stored.content or Content(job, reread=False)
    verified = await confirm_size(job, content, Claim(stored.etag, began, stored.md5))
    if stored.verified_by == "none":
        return stored
    if verified == "size":
        await job.call.warn("upload.size_only", once=True)
    return replace(stored, verified_by=verified)


async def _already_committed(job: FileJob) -> StoredFile | None:
    """Return what an interrupted run of this directory committed of this file, if it is there."""
    call, identity = job.call, job.source.identity
    recorded = await call.directory_run.committed(job.key, identity) if identity else None
    if recorded is None:
        return None
    try:
        info = await job.head()
    except StoreError:
        return None
    if info.size not in {None, job.size} or info.etag != recorded.etag:
        return None
    if recorded.renumbered and not await has_etag(job, info.etag, guesses=1):
        return None
    return StoredFile(info.etag, recorded.parts, recorded.verified_by, job.size)


def _shrink_body_limit(call: Call, refused: StoreError) -> bool:
    """Record that the store refuses such a body; return whether smaller ones can be sent."""
    size = int(refused.params.get("size", 0))
    # Not below 1 MiB, though some stores take parts of a byte: it would cost a request for each.
    smaller = max(call.limits.min_part, MIB, size // _SHRINK_FACTOR // MIB * MIB)
    if smaller >= size:
        return False
    call.store_state.max_body = min(call.store_state.max_body or smaller, smaller)
    return True
