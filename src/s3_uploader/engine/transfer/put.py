"""A file with one request, and what became of the request where no response says so."""

from dataclasses import replace
from functools import partial

from s3_uploader.checksums.md5 import md5_of
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.outcome import Attempts, resolve_put
from s3_uploader.engine.outcome.proof import prove
from s3_uploader.engine.transfer.stored import StoredFile
from s3_uploader.errors import OutcomeUnknownError, S3UploaderError, SourceError, StoreError
from s3_uploader.source import source_md5
from s3_uploader.store import Body, BytesBody

SMALL_FILE_LIMIT = 256 * 1024
"""Files up to this many bytes are read whole, hashed and then sent, so a wrong body can be refused
by Content-MD5 before it replaces an object. Larger ones are hashed while they are sent.

They are also too small for the journal: asking whether one is there costs what sending it does."""


async def put_small(job: FileJob) -> StoredFile | None:
    """Send a file that is read whole; None if it is larger than `SMALL_FILE_LIMIT` by now.

    Raises:
        S3UploaderError: it was not stored, or it is not known.
    """
    call, attempts, body = job.call, Attempts(), BytesBody(b"")

    async def attempt() -> StoredFile | None:
        nonlocal body
        content = await job.source.read(SMALL_FILE_LIMIT, call.digests)
        if content is None:
            return None
        job.source.size = content.size
        if call.store_state.content_md5 and not content.md5:
            content = replace(content, md5=md5_of(content.data))
        body = content
        return await _put(job, body, attempts)

    try:
        return await job.request("PutObject", attempt, size=job.size)
    except SourceError as error:
        raise _after_attempts(job, error, attempts) from error
    except StoreError as error:
        md5 = md5_of(body.data) if body.checksum else body.md5
        etag = await resolve_put(job, error, attempts, md5)
    return StoredFile(etag, 1, "etag-md5")


async def put_open(job: FileJob) -> StoredFile:
    """Send a file whose source is open with one request, block by block; raises as `put_small`."""
    call, attempts = job.call, Attempts()
    body = job.source.body(0, job.size, call.digests, partial(job.report_progress, 1))

    async def attempt() -> StoredFile:
        await body.prepare(md5=call.store_state.content_md5)
        return await _put(job, body, attempts)

    try:
        return await job.request("PutObject", attempt, size=job.size)
    except SourceError as error:
        raise _after_attempts(job, error, attempts) from error
    except StoreError as error:
        failure = error
    md5 = body.md5
    if attempts.unlikely and body.checksum is not None:
        try:
            md5 = await source_md5(job.source)
        except SourceError as error:
            raise _after_attempts(job, error, attempts) from error
    etag = await resolve_put(job, failure, attempts, md5)
    try:
        await job.source.check()
    except SourceError as error:
        # The object holds what was read before the file changed.
        raise OutcomeUnknownError.of(job.key, error) from error
    return StoredFile(etag, 1, "etag-md5")


async def _put(job: FileJob, body: Body, attempts: Attempts) -> StoredFile:
    call = job.call
    try:
        receipt = await call.store.put_object(job.key, body, job.options)
    except StoreError as error:
        attempts.record(error)
        raise call.store_state.demanded(error, body) from error
    verified = prove(receipt, body.md5, call.config.integrity, job.key, body.checksum)
    claimed = verified == "size"
    return StoredFile(receipt.etag, 1, verified, claimed=claimed, md5=body.md5)


def _after_attempts(job: FileJob, error: SourceError, attempts: Attempts) -> S3UploaderError:
    """Return what a source that fails in a later attempt means: the first may have taken effect."""
    return OutcomeUnknownError.of(job.key, error) if attempts.possible else error
