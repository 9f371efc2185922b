"""A multipart upload as a block: published inside it, or at its end aborted, or kept for later."""

import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

import anyio

from s3_uploader.engine.call import Call, FileJob
from s3_uploader.engine.journal import UploadRecord
from s3_uploader.engine.outcome import Doubt
from s3_uploader.engine.outcome.create import find_lost
from s3_uploader.engine.upload import CRC_MARK, TOKEN, Upload
from s3_uploader.errors import OutcomeUnknownError, S3UploaderError, StoreError
from s3_uploader.messages import printable
from s3_uploader.source import Fingerprint

GRACE = 3.5
"""Seconds that a create, and an abort after it, may still take once the upload is cancelled."""

_ABORT_ATTEMPTS = 3

_logger = logging.getLogger("s3_uploader")


async def create(
    call: Call, job: FileJob, fingerprint: Fingerprint, part_size: int, content_type: str
) -> Upload:
    """Create a multipart upload, noted in the journal before the store hears of it.

    Shielded from cancellation for at most `GRACE` seconds: cancelled between the store's acceptance
    and its response, it would leave an upload nobody knows the id of.

    Raises:
        StoreError: the upload could not be created.
    """
    creation = _Creation(call, job, fingerprint, part_size, content_type)
    deadline = [float("inf")]
    try:
        await call.request(
            job, "CreateMultipartUpload", lambda: _finish(creation.attempt, deadline)
        )
    except BaseException as error:
        with anyio.move_on_after(GRACE, shield=True):
            await creation.undo(until=deadline[0])
        if isinstance(error, StoreError):
            await abort_lost(call, job.key, refused=creation.refused)
        raise
    if creation.upload is None:
        raise AssertionError("created without an id")
    return creation.upload


class _Creation:
    """The attempts at one CreateMultipartUpload, each with a row of its own in the journal.

    Attributes:
        upload: what was created.
        refused: rows of attempts that the store said it would not serve.
    """

    def __init__(
        self, call: Call, job: FileJob, fingerprint: Fingerprint, part_size: int, content_type: str
    ) -> None:
        mark = CRC_MARK if call.config.integrity == "crc64nvme" else ""
        self.upload: Upload | None = None
        self.refused: set[int] = set()
        self._call = call
        self._job = job
        self._fingerprint = fingerprint
        self._part_size = part_size
        self._content_type = content_type
        self._token = mark + secrets.token_hex(16)
        self._row = 0
        self._lost: set[int] = set()

    async def attempt(self) -> None:
        """Take what an earlier attempt has made, or make a request."""
        if self._lost:
            await self._find()
        if self.upload is None:
            await self._note()
            await self._ask()

    async def undo(self, *, until: float) -> None:
        """Abort what is created; of a request under way its row remembers that it was made."""
        journal, upload, row, gone = self._call.journal, self.upload, self._row, False
        if upload is not None:
            row = upload.row
            gone = await abort(self._call, self._job.key, upload.upload_id, until=until)
            if journal is not None and not gone:
                await journal.created(row, upload.upload_id)
        if journal is not None and row:
            await (journal.forget if gone else journal.release)(row)

    async def _note(self) -> None:
        journal, job = self._call.journal, self._job
        if journal is not None:
            place = self._call.place(job.key)
            self._row = await journal.begin(
                place, self._token, job.path, self._fingerprint, self._part_size
            )
            await warn_if_journal_broken(self._call)

    async def _ask(self) -> None:
        try:
            upload_id = await self._call.store.create_multipart_upload(
                self._job.key,
                content_type=self._content_type,
                metadata={TOKEN: self._token},
                crc64nvme=self._token.startswith(CRC_MARK),
            )
        except StoreError as error:
            doubt = Doubt()
            doubt.note(error)
            await self._failed(lost=doubt.seldom, refused=not doubt.maybe)
            raise
        if not upload_id:
            # Requests for it would be requests for the object itself.
            await self._failed(lost=True, refused=False)
            raise StoreError("store.not_s3", fatal=True, endpoint=self._call.store.endpoint)
        self.upload = Upload(upload_id, self._token, self._row, self._part_size)
        if self._call.journal is not None:
            await self._call.journal.created(self._row, upload_id)

    async def _failed(self, *, lost: bool, refused: bool) -> None:
        """Forget the attempt, unless it may have taken effect."""
        row, self._row = self._row, 0
        if self._call.journal is None or not row:
            return
        if lost:
            self._lost.add(row)
            if refused:
                self.refused.add(row)
        await (self._call.journal.release if lost else self._call.journal.forget)(row)

    async def _find(self) -> None:
        for record in await find_lost(self._call, self._job.key, refused=self.refused):
            if self.upload is None and record.row in self._lost:
                self.upload = Upload(record.upload_id, record.token, record.row, self._part_size)
            else:
                await discard(self._call, record)


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
    """Abort an upload of ours and forget it; return whether the store has let go of it."""
    gone = await abort(call, record.key, record.upload_id)
    if call.journal is not None:
        await (call.journal.forget if gone else call.journal.release)(record.row)
    return gone


@asynccontextmanager
async def ending(call: Call, job: FileJob, upload: Upload) -> AsyncGenerator[None]:
    """Run the block that sends and publishes `upload`; then forget, keep or abort it.

    What the block raises passes through; a failing abort is logged and never hides it.
    """
    try:
        yield
    except BaseException as error:
        with anyio.move_on_after(GRACE, shield=True):
            await _end(call, job, upload, error)
        if isinstance(error, S3UploaderError):
            await abort_lost(call, job.key)
        raise
    if call.journal is not None:
        with anyio.move_on_after(GRACE, shield=True):
            await call.journal.forget(upload.row)
        await warn_if_journal_broken(call)
        await abort_lost(call, job.key)


async def _end(call: Call, job: FileJob, upload: Upload, error: BaseException) -> None:
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
                if error.code == "store.bad_response" and await _is_gone(call, key, upload_id):
                    return True
            else:
                return True
    shown = printable(upload_id), printable(key)
    _logger.warning("multipart upload %s of %s stays open: %s", *shown, failure)
    return False


async def _is_gone(call: Call, key: str, upload_id: str) -> bool:
    """Whether the store no longer knows an upload: some say another success than S3's 204."""
    try:
        await call.store.list_parts(key, upload_id)
    except StoreError as error:
        return error.code == "store.no_such_upload"
    return False


async def warn_if_journal_broken(call: Call) -> None:
    """Warn once if the journal cannot be used."""
    journal = call.journal
    if journal is not None and journal.problem:
        code = "journal.refused" if journal.refused else "journal.unavailable"
        await call.warn(code, once=True, path=journal.path, reason=journal.problem)
