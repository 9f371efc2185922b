"""A multipart upload as a block: completed inside it, or aborted at its end."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio

from s3_uploader.engine.call import Call, Job
from s3_uploader.errors import S3UploaderError

GRACE = 4.0
"""Seconds a create or an abort may still take once the upload is cancelled."""

_ABORT_ATTEMPTS = 3

_logger = logging.getLogger("s3_uploader")


@asynccontextmanager
async def multipart_upload(call: Call, job: Job, content_type: str) -> AsyncGenerator[str]:
    """Create a multipart upload and yield its id; abort it unless the block succeeds.

    The create is shielded from cancellation, for at most `GRACE` seconds: cancelled between the
    store's acceptance and its answer, it would leave an upload nobody knows the id of.

    Raises:
        StoreError: the upload could not be created. What the block raises passes through; a
            failing abort is logged and never hides it.
    """
    created: list[str] = []

    async def create() -> None:
        created.append(
            await call.store.create_multipart_upload(
                job.key, content_type=content_type, metadata={}
            )
        )

    try:
        await call.request(job, "CreateMultipartUpload", lambda: _finish(create))
        yield created[-1]
    except BaseException:
        for upload_id in created:
            await _abort(call, job, upload_id)
        raise


async def _finish(work: Callable[[], Awaitable[None]]) -> None:
    """Await `work` to its end; once cancelled, for at most `GRACE` seconds more."""
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
            shield.deadline = anyio.current_time() + GRACE
            raise
    if failure:
        raise failure[0]


async def _abort(call: Call, job: Job, upload_id: str) -> None:
    with anyio.move_on_after(GRACE, shield=True) as scope:
        for attempt in range(1, _ABORT_ATTEMPTS + 1):
            try:
                await call.store.abort_multipart_upload(job.key, upload_id)
            except S3UploaderError as error:
                if attempt == _ABORT_ATTEMPTS:
                    _logger.warning(
                        "multipart upload %s of %s stays open: %s", upload_id, job.key, error
                    )
            else:
                return
    if scope.cancelled_caught:
        _logger.warning(
            "multipart upload %s of %s stays open: no answer to its abort", upload_id, job.key
        )
