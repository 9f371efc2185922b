"""A multipart upload as a block: published inside it, or at its end aborted, or kept for later."""

import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager

import anyio

from s3_uploader.engine.call import Call
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.journal import UploadRecord
from s3_uploader.engine.outcome.lost_create import find_lost
from s3_uploader.engine.upload import Upload
from s3_uploader.errors import OutcomeUnknownError, S3UploaderError, StoreError
from s3_uploader.messages import printable

GRACE = 3.5
"""Seconds that a create, and an abort after it, may still take once the upload is cancelled."""

_ABORT_ATTEMPTS = 3

_logger = logging.getLogger("s3_uploader")


@asynccontextmanager
async def multipart_upload(job: FileJob, upload: Upload) -> AsyncGenerator[None]:
    """Run the block that sends and publishes `upload`; then forget, keep or abort the upload.

    What the block raises passes through; a failing abort is logged and never hides it.
    """
    try:
        yield
    except BaseException as error:
        with anyio.move_on_after(GRACE, shield=True):
            await _end(job, upload, error)
        if isinstance(error, S3UploaderError):
            await abort_lost(job.call, job.key)
        raise
    if job.journal is not None:
        with anyio.move_on_after(GRACE, shield=True):
            await job.journal.forget(upload.row)
        await job.call.warn_if_journal_broken()
        await abort_lost(job.call, job.key)


async def _end(job: FileJob, upload: Upload, error: BaseException) -> None:
    """Keep what the next upload can resume, and abort the rest."""
    if not _worth_keeping(job, upload, error):
        gone = await abort(job.call, job.key, upload.upload_id)
        if job.journal is not None:
            # What the store did not let go of stays in the journal, to be aborted later.
            await (job.journal.forget if gone else job.journal.release)(upload.row)
        return
    if job.journal is not None:
        await job.journal.release(upload.row)
    if isinstance(error, S3UploaderError) and not isinstance(error, OutcomeUnknownError):
        await job.call.warn("upload.kept", key=job.key)


def _worth_keeping(job: FileJob, upload: Upload, error: BaseException) -> bool:
    if isinstance(error, OutcomeUnknownError):
        # The store may still be processing it.
        return True
    if job.journal is None or not upload.row or job.journal.error:
        return False
    if isinstance(error, StoreError):
        # What a later upload may not meet again: a store that is down, full, or refuses the keys.
        return error.retryable or error.fatal
    if isinstance(error, S3UploaderError):
        # Its parts are compared with the file before one of them is used again.
        return error.code == "source.touched"
    cancelled = isinstance(error, anyio.get_cancelled_exc_class())
    return cancelled and job.call.config.on_cancel == "keep"


async def abort_lost(call: Call, key: str, *, refused: Collection[int] = ()) -> None:
    """Abort what lost Creates of this key have made, as far as it is found."""
    found = await find_lost(call, key, refused=refused)
    try:
        while found:
            await discard(call, found.pop())
    finally:
        if call.journal is not None:
            for record in found:
                with anyio.move_on_after(GRACE, shield=True):
                    await call.journal.release(record.row)


async def discard(call: Call, record: UploadRecord) -> bool:
    """Abort a recorded upload and forget it; return whether the store has let go of it."""
    gone = await abort(call, record.key, record.upload_id)
    if call.journal is not None:
        await (call.journal.forget if gone else call.journal.release)(record.row)
    return gone


async def abort(call: Call, key: str, upload_id: str, *, until: float = float("inf")) -> bool:
    """Abort an upload within `GRACE` seconds, and by `until`; return whether it is gone."""
    grace = max(0.5, min(GRACE, until - anyio.current_time()))
    failure = "no response to its abort"
    with anyio.move_on_after(grace, shield=True):
        for _ in range(_ABORT_ATTEMPTS):
            try:
                await call.store.abort_multipart_upload(key, upload_id)
            except S3UploaderError as error:
                failure = str(error)
                if error.code == "store.bad_response" and await _is_gone(call, key, upload_id):
                    return True
            else:
                return True
    shown = printable(upload_id), printable(key)
    _logger.warning("multipart upload %s of %s stays open: %s", *shown, failure)
    return False


async def _is_gone(call: Call, key: str, upload_id: str) -> bool:
    """Return whether the store no longer knows an upload: some acknowledge an abort with a 200."""
    try:
        await call.store.list_parts(key, upload_id)
    except StoreError as error:
        return error.code == "store.no_such_upload"
    return False
