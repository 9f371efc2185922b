"""A multipart upload as a block: published inside it, or at its end aborted, or kept for later."""

import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from s3_uploader.engine.call import Call, Job
from s3_uploader.engine.outcome import Doubt
from s3_uploader.engine.upload import CRC_MARK, TOKEN, Upload
from s3_uploader.errors import OutcomeUnknownError, S3UploaderError, StoreError
from s3_uploader.messages import printable
from s3_uploader.source import Fingerprint

GRACE = 3.5
"""Seconds that a create, and an abort after it, may still take once the upload is cancelled."""

_ABORT_ATTEMPTS = 3

_CLOCKS_APART = 60.0
"""Seconds the store's clock may differ from ours for an upload without an owner to be ours."""

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
    mark = CRC_MARK if call.config.integrity == "crc64nvme" else ""
    token = mark + secrets.token_hex(16)
    journal = call.journal
    row = 0
    if journal is not None:
        place = call.place(job.key)
        with anyio.move_on_after(GRACE, shield=True):
            row = await journal.begin(place, token, job.path, fingerprint, part_size)
        await tell_journal_problem(call)
    created: list[str] = []
    begun = time.time()
    doubt = Doubt()

    async def attempt() -> None:
        # An earlier attempt may have taken effect although its answer never came.
        stray = await find_unanswered(call, job.key, begun, row) if doubt.maybe and row else ""
        created.append(stray or await _ask_for_one(call, job, content_type, token, doubt))

    deadline = [float("inf")]
    try:
        await call.request(job, "CreateMultipartUpload", lambda: _finish(attempt, deadline))
        if journal is not None:
            await journal.created(row, created[-1])
    except BaseException as error:
        with anyio.move_on_after(GRACE, shield=True):
            # Refused, it does not exist; not answered, the next upload of this key looks for it.
            gone = isinstance(error, StoreError) and not error.retryable
            for upload_id in created:
                gone = await abort(call, job.key, upload_id, until=deadline[0])
                if journal is not None and not gone:
                    await journal.created(row, upload_id)
            if journal is not None:
                await (journal.forget if gone else journal.release)(row)
        raise
    return Upload(created[-1], token, row, part_size)


async def _ask_for_one(call: Call, job: Job, content_type: str, token: str, doubt: Doubt) -> str:
    try:
        upload_id = await call.store.create_multipart_upload(
            job.key,
            content_type=content_type,
            metadata={TOKEN: token},
            crc64nvme=token.startswith(CRC_MARK),
        )
    except StoreError as error:
        doubt.note(error)
        raise
    if not upload_id:
        # Requests for it would be requests for the object itself.
        raise StoreError("store.not_s3", fatal=True, endpoint=call.store.endpoint)
    return upload_id


async def find_unanswered(call: Call, key: str, begun: float, row: int) -> str:
    """Return the id of an upload of ours whose creation was never answered, "" if there is none.

    The S3 protocol shows nobody's metadata in a listing. Taken for ours is the one upload of this
    very key that no row of the journal names, that holds no part, and that began when we asked for
    it (`begun`, seconds since 1970); if there are several, none. Nor if a row of the journal other
    than `row` waits for its answer too: it may be that one's.
    """
    try:
        uploads = await call.store.list_multipart_uploads(key)
        # Asked after the listing: whoever's upload is in it has a row by now.
        known = await known_ids(call, key, but=row)
        strays = [
            upload.upload_id
            for upload in uploads
            if upload.key == key
            and upload.upload_id not in known
            and abs(upload.initiated - begun) < _CLOCKS_APART
        ]
        if "" in known or len(strays) != 1 or await call.store.list_parts(key, strays[0]):
            return ""
    except StoreError:
        # Nothing is lost but the chance: a new upload is created.
        return ""
    return strays[0]


async def known_ids(call: Call, key: str, *, but: int = 0) -> set[str]:
    """Return the uploads of a key that the journal names, "" for one that waits for its id."""
    if call.journal is None:
        return set()
    records = await call.journal.uploads(call.store.endpoint, call.store.bucket, key)
    return {record.upload_id for record in records if record.key == key and record.row != but}


@asynccontextmanager
async def ending(call: Call, job: Job, upload: Upload) -> AsyncGenerator[None]:
    """Run the block that sends and publishes `upload`; then forget, keep or abort it.

    What the block raises passes through; a failing abort is logged and never hides it.
    """
    try:
        yield
    except BaseException as error:
        with anyio.move_on_after(GRACE, shield=True):
            await _end(call, job, upload, error)
        raise
    if call.journal is not None:
        with anyio.move_on_after(GRACE, shield=True):
            await call.journal.forget(upload.row)
        await tell_journal_problem(call)


async def _end(call: Call, job: Job, upload: Upload, error: BaseException) -> None:
    """Keep what the next upload can go on with, and abort the rest."""
    keep = _worth_keeping(call, upload, error)
    if not keep:
        gone = await abort(call, job.key, upload.upload_id)
        if call.journal is not None:
            # What the store did not let go of stays in the journal, to be aborted later.
            await (call.journal.forget if gone else call.journal.release)(upload.row)
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
        # Its parts are compared with the file before one of them is used again.
        return error.code == "source.touched"
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
    shown = printable(upload_id), printable(key)
    _logger.warning("multipart upload %s of %s stays open: %s", *shown, failure)
    return False


async def tell_journal_problem(call: Call) -> None:
    """Warn once if the journal cannot be used."""
    journal = call.journal
    if journal is not None and journal.problem:
        code = "journal.refused" if journal.refused else "journal.unavailable"
        await call.warn(code, once=True, path=journal.path, reason=journal.problem)
