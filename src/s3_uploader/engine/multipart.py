"""A multipart upload as a block: published inside it, or at its end aborted, or kept for later."""

import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from s3_uploader.engine.call import Call, Job
from s3_uploader.engine.publish import TOKEN, Upload
from s3_uploader.errors import OutcomeUnknownError, S3UploaderError, StoreError
from s3_uploader.source import Fingerprint

GRACE = 3.5
"""Seconds that a create, and an abort after it, may still take once the upload is cancelled."""

_ABORT_ATTEMPTS = 3

_logger = logging.getLogger("s3_uploader")


async def create(
    call: Call, job: Job, fingerprint: Fingerprint, part_size: int, content_type: str
) -> Upload:
    """Create a multipart upload, noted in the journal before the store hears of it.

    Shielded from cancellation for at most `GRACE` seconds: cancelled between the store's acceptance
    and its answer, it would leave an upload nobody knows the id of.

    Raises:
        StoreError: the upload could not be created.
    """
    token = secrets.token_hex(16)
    journal = call.journal
    row = 0
    if journal is not None:
        place = call.place(job.key)
        with anyio.CancelScope(shield=True):
            row = await journal.begin(place, token, job.path, fingerprint, part_size)
        await tell_journal_problem(call)
    created: list[str] = []

    async def attempt() -> None:
        created.append(
            await call.store.create_multipart_upload(
                job.key, content_type=content_type, metadata={TOKEN: token}
            )
        )

    deadline = [float("inf")]
    try:
        await call.request(job, "CreateMultipartUpload", lambda: _finish(attempt, deadline))
        if journal is not None:
            await journal.created(row, created[-1])
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            for upload_id in created:
                await abort(call, job.key, upload_id, until=deadline[0])
            # The store may have made one and not said so: the next upload looks for it.
            unsure = isinstance(error, StoreError) and error.retryable and not created
            if journal is not None:
                await (journal.release if unsure else journal.forget)(row)
        raise
    return Upload(created[-1], token, row, part_size)


@asynccontextmanager
async def ending(call: Call, job: Job, upload: Upload) -> AsyncGenerator[None]:
    """Run the block that sends and publishes `upload`; then forget, keep or abort it.

    What the block raises passes through; a failing abort is logged and never hides it.
    """
    try:
        yield
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await _end(call, job, upload, error)
        raise
    if call.journal is not None:
        with anyio.CancelScope(shield=True):
            await call.journal.forget(upload.row)
        await tell_journal_problem(call)


async def _end(call: Call, job: Job, upload: Upload, error: BaseException) -> None:
    """Keep what the next upload can go on with, and abort the rest."""
    keep = _worth_keeping(call, upload, error)
    if not keep:
        await abort(call, job.key, upload.upload_id)
        if call.journal is not None:
            await call.journal.forget(upload.row)
        return
    if call.journal is not None:
        await call.journal.release(upload.row)
    if isinstance(error, S3UploaderError) and not isinstance(error, OutcomeUnknownError):
        await call.warn("upload.kept", key=job.key)


def _worth_keeping(call: Call, upload: Upload, error: BaseException) -> bool:
    if isinstance(error, OutcomeUnknownError):
        # The store may still be at work on it.
        return True
    if call.journal is None or not upload.row or call.journal.problem:
        return False
    if isinstance(error, StoreError):
        # What a later upload may not meet again: a store that is down, full, or refuses the keys.
        return error.retryable or error.fatal
    if isinstance(error, S3UploaderError):
        return False
    cancelled = isinstance(error, anyio.get_cancelled_exc_class())
    return cancelled and call.config.on_cancel == "keep"


async def _finish(work: Callable[[], Awaitable[None]], deadline: list[float]) -> None:
    """Await `work` to its end; once cancelled, until `deadline`, which is set then."""
    failure: list[S3UploaderError] = []
    done = anyio.Event()
    shield = anyio.CancelScope(shield=True)

    async def run() -> None:
        try:
            with shield:
                await work()
        except S3UploaderError as error:
            failure.append(error)
        finally:
            done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        try:
            await done.wait()
        except anyio.get_cancelled_exc_class():
            shield.deadline = deadline[0] = anyio.current_time() + GRACE
            raise
    if failure:
        raise failure[0]


async def abort(call: Call, key: str, upload_id: str, *, until: float = float("inf")) -> bool:
    """Abort an upload within `GRACE` seconds, and by `until`; return whether it is gone."""
    grace = max(0.5, min(GRACE, until - anyio.current_time()))
    failure = "no answer to its abort"
    with anyio.move_on_after(grace, shield=True):
        for _ in range(_ABORT_ATTEMPTS):
            try:
                await call.store.abort_multipart_upload(key, upload_id)
            except S3UploaderError as error:
                failure = str(error)
            else:
                return True
    _logger.warning("multipart upload %s of %s stays open: %s", upload_id, key, failure)
    return False


async def tell_journal_problem(call: Call) -> None:
    """Warn once if the journal cannot be used."""
    journal = call.journal
    if journal is not None and journal.problem:
        await call.warn("journal.unavailable", once=True, path=journal.path, reason=journal.problem)
