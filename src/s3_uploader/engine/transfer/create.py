"""Create a multipart upload, recorded in the journal before the request is sent."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio

from s3_uploader.engine.job import FileJob
from s3_uploader.engine.outcome import Attempts
from s3_uploader.engine.outcome.lost_create import find_lost
from s3_uploader.engine.transfer.multipart import GRACE, abort, abort_lost, discard
from s3_uploader.engine.upload import TOKEN, Upload
from s3_uploader.errors import S3UploaderError, StoreError
from s3_uploader.store import PutOptions


async def create(job: FileJob, part_size: int, options: PutOptions) -> Upload:
    """Create a multipart upload for parts of `part_size` bytes.

    Shielded from cancellation for at most `GRACE` seconds: cancelled between the store's acceptance
    and its response, it would leave an upload whose id is unknown.

    Raises:
        StoreError: the upload could not be created.
    """
    creation = _Creation(job, part_size, options)
    deadline = [float("inf")]
    try:
        return await job.request(
            "CreateMultipartUpload", lambda: _shielded(creation.attempt, deadline)
        )
    except BaseException as error:
        with anyio.move_on_after(GRACE, shield=True):
            await creation.undo(until=deadline[0])
        if isinstance(error, StoreError):
            await abort_lost(job.call, job.key, refused=creation.refused)
        raise


class _Creation:
    """The attempts at one CreateMultipartUpload, each with a row of its own in the journal.

    Attributes:
        refused: rows of attempts that the store said it would not serve.
    """

    def __init__(self, job: FileJob, part_size: int, options: PutOptions) -> None:
        self.refused: set[int] = set()
        self._job = job
        self._upload: Upload | None = None
        self._wanted = Upload("", secrets.token_hex(16), 0, part_size, options.checksum)
        self._options = options
        self._row = 0
        self._lost: set[int] = set()

    async def attempt(self) -> Upload:
        """Return what an earlier attempt has made, or make a request."""
        if self._lost:
            await self._find()
        if self._upload is None:
            await self._record()
            self._upload = await self._create_once()
            if self._job.journal is not None:
                await self._job.journal.set_upload_id(self._row, self._upload.upload_id)
        return self._upload

    async def undo(self, *, until: float) -> None:
        """Abort what is created; the row of a request in flight stays, for it was perhaps made."""
        journal, upload, row, gone = self._job.journal, self._upload, self._row, False
        if upload is not None:
            row = upload.row
            gone = await abort(self._job.call, self._job.key, upload.upload_id, until=until)
            if journal is not None and not gone:
                await journal.set_upload_id(row, upload.upload_id)
        if journal is not None and row:
            await (journal.forget if gone else journal.release)(row)

    async def _record(self) -> None:
        job, wanted = self._job, self._wanted
        if job.journal is not None and job.source.identity is not None:
            self._row = await job.journal.insert_upload(
                job.place,
                wanted.token,
                job.source.path,
                job.source.identity,
                wanted.part_size,
                wanted.algorithm.name if wanted.algorithm else "",
                self._options.text(),
            )
            await job.call.warn_if_journal_broken()

    async def _create_once(self) -> Upload:
        store, key = self._job.call.store, self._job.key
        metadata = {**self._options.metadata, TOKEN: self._wanted.token}
        options = replace(self._options, metadata=metadata)
        try:
            upload_id = await store.create_multipart_upload(key, options)
        except StoreError as error:
            attempts = Attempts()
            attempts.record(error)
            await self._failed(lost=attempts.unlikely, refused=not attempts.possible)
            raise
        if not upload_id:
            # Requests for it would be requests for the object itself.
            await self._failed(lost=True, refused=False)
            raise StoreError("store.not_s3", fatal=True, endpoint=store.endpoint)
        return replace(self._wanted, upload_id=upload_id, row=self._row)

    async def _failed(self, *, lost: bool, refused: bool) -> None:
        """Forget the attempt, unless it may have taken effect."""
        row, self._row = self._row, 0
        if self._job.journal is None or not row:
            return
        if lost:
            self._lost.add(row)
            if refused:
                self.refused.add(row)
        await (self._job.journal.release if lost else self._job.journal.forget)(row)

    async def _find(self) -> None:
        found = await find_lost(self._job.call, self._job.key, refused=self.refused)
        for record in found:
            if self._upload is None and record.row in self._lost:
                self._upload = Upload.of(record)
            else:
                await discard(self._job.call, record)


async def _shielded(work: Callable[[], Awaitable[Upload]], deadline: list[float]) -> Upload:
    """Await `work` to its end; once cancelled, until `deadline`, which is set then."""
    failure: list[S3UploaderError] = []
    result: list[Upload] = []
    done = anyio.Event()
    shield = anyio.CancelScope(shield=True)

    async def run() -> None:
        try:
            with shield:
                result.append(await work())
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
    return result[0]
