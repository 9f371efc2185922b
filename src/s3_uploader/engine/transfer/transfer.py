"""One file: decide how it is sent, send it, prove it, tell how it ended."""

import hashlib
import mimetypes
import os
import time
from dataclasses import replace
from functools import lru_cache

from s3_uploader import to_thread
from s3_uploader.engine.call import Call, FileJob
from s3_uploader.engine.journal import Committed
from s3_uploader.engine.outcome import Content, Doubt, confirm_size, resolve_put
from s3_uploader.engine.outcome.etag import has_etag
from s3_uploader.engine.outcome.proof import prove
from s3_uploader.engine.outcome.size import Claim
from s3_uploader.engine.transfer.parts import StoredFile, put_parts, send_range
from s3_uploader.errors import OutcomeUnknownError, S3UploaderError, SourceError, StoreError
from s3_uploader.events import FileFailed, FileStarted, FileUnknown, FileUploaded
from s3_uploader.plan import Part
from s3_uploader.sizes import MIB
from s3_uploader.source import FileRange, Fingerprint, open_source, recheck
from s3_uploader.store import Body, BytesBody

SMALL = 256 * 1024
"""Files up to this many bytes are read whole, hashed and then sent, so a wrong body can be refused
by Content-MD5 before it replaces an object. Larger ones are hashed while they are sent.

They are also too small for the journal: asking whether one is there costs what sending it does."""

_SMALLER = 4
"""A store that refuses a body is next sent bodies of this fraction: it does not say its limit."""

_DEFAULT_TYPE = "application/octet-stream"


async def transfer(call: Call, job: FileJob) -> None:
    """Upload one file and emit its outcome. An expected failure is an event, not an exception."""
    began = time.monotonic()
    try:
        done = await _send(call, job)
        if done.claimed:
            done = await _confirmed(call, job, done, began)
    except OutcomeUnknownError as error:
        if isinstance(error.__cause__, StoreError) and error.__cause__.fatal:
            call.stopped = error.__cause__
        await _not_committed(FileUnknown, call, job, error, began)
        return
    except S3UploaderError as error:
        if isinstance(error, StoreError) and error.fatal:
            call.stopped = error
        await fail(call, job, error, began)
        return
    await call.emit(
        FileUploaded,
        job,
        size=done.size,
        etag=done.etag,
        parts=done.parts,
        verified_by=done.verified_by,
        lane=call.store.lane,
        seconds=time.monotonic() - began,
        reused=done.reused,
    )


async def _confirmed(call: Call, job: FileJob, done: StoredFile, began: float) -> StoredFile:
    """Compare what HEAD shows with what the response named, where its ETag proves nothing."""
    job = replace(job, size=done.size)
    content = done.content or Content(job, None)
    claim = Claim(done.etag, began, done.md5)
    verified = await confirm_size(call, job, content, claim)
    if done.verified_by == "none":
        return done
    if verified == "size":
        await call.warn("upload.size_only", once=True)
    return replace(done, verified_by=verified)


async def fail(call: Call, job: FileJob, error: S3UploaderError, began: float) -> None:
    """Emit the failure of a file; `began` is `time.monotonic()` at its start."""
    await _not_committed(FileFailed, call, job, error, began)


async def _not_committed(
    kind: type[FileFailed] | type[FileUnknown],
    call: Call,
    job: FileJob,
    error: S3UploaderError,
    began: float,
) -> None:
    call.history.complete = False
    seconds = time.monotonic() - began
    await call.emit(kind, job, code=error.code, params=error.params, seconds=seconds)


async def _send(call: Call, job: FileJob) -> StoredFile:
    if job.size <= min(SMALL, call.limits.multipart_threshold):
        await call.emit(FileStarted, job)
        done = await _put_small(call, job)
        if done is not None:
            return done
        # The file has grown past "small" since it was measured.
    fingerprint = await to_thread.run_sync(open_source, job.path, job.within)
    job = replace(job, size=fingerprint.size)
    await call.emit(FileStarted, job)
    done = await _sent_before(call, job, fingerprint)
    while done is None:
        try:
            done = await _send_large(call, job, fingerprint)
        except StoreError as error:
            if error.code != "store.too_large" or not _learn(call, error):
                raise
            size, part_size = int(error.params["size"]), call.limits.part_size
            await call.warn("upload.smaller_parts", size=size, key=job.key, part_size=part_size)
    call.history.note(job.key, fingerprint, Committed(done.etag, done.parts, done.verified_by))
    return done


async def _send_large(call: Call, job: FileJob, fingerprint: Fingerprint) -> StoredFile:
    if fingerprint.size > call.limits.multipart_threshold:
        return await put_parts(call, job, fingerprint, _content_type(call, job))
    crc64nvme = call.config.integrity == "crc64nvme"
    body = send_range(call, job, fingerprint, Part(1, 0, job.size), crc64nvme=crc64nvme)
    doubt = Doubt()

    async def attempt() -> StoredFile:
        await body.prepare(md5=call.store_state.content_md5)
        return await _put(call, job, body, doubt)

    try:
        return await call.request(job, "PutObject", attempt, size=job.size)
    except SourceError as error:
        raise _after_doubt(job, error, doubt) from error
    except StoreError as error:
        md5 = body.md5
        if crc64nvme:
            # HEAD's checksum would be no proof (`prove`): computed by nobody where there was none.
            md5 = await FileRange(job.path, fingerprint, size=job.size, hashing=True).hash()
        etag = await resolve_put(call, job, error, doubt, md5)
    await to_thread.run_sync(recheck, job.path, fingerprint)
    return StoredFile(job.size, etag, 1, "etag-md5")


def _learn(call: Call, refused: StoreError) -> bool:
    """Note that the store refuses such a body; return whether smaller ones can be sent."""
    size = int(refused.params.get("size", 0))
    # Not below 1 MiB, though some stores take parts of a byte: it would cost a request for each.
    smaller = max(call.limits.min_part, MIB, size // _SMALLER // MIB * MIB)
    if smaller >= size:
        return False
    call.store_state.max_body = min(call.store_state.max_body or smaller, smaller)
    return True


async def _sent_before(call: Call, job: FileJob, fingerprint: Fingerprint) -> StoredFile | None:
    """Return what an interrupted run of this directory committed of this file, if it is there."""
    noted = await call.history.committed(job.key, fingerprint)
    if noted is None:
        return None
    try:
        info = await call.attempt(lambda: call.store.head_object(job.key))
    except StoreError:
        return None
    if info.size not in {None, job.size} or info.etag != noted.etag:
        return None
    if noted.renumbered and not await has_etag(call, job, fingerprint, info.etag, guesses=1):
        return None
    return StoredFile(job.size, info.etag, noted.parts, noted.verified_by, job.size)


async def _put_small(call: Call, job: FileJob) -> StoredFile | None:
    body = BytesBody(b"")
    doubt = Doubt()

    async def attempt() -> StoredFile | None:
        nonlocal body
        content = await call.reader.read(job.path, job.within)
        if content is None:
            return None
        md5 = content.md5
        if call.store_state.content_md5 and not md5:
            md5 = hashlib.md5(content.data, usedforsecurity=False).hexdigest()
        body = BytesBody(content.data, md5, content.crc64nvme)
        return await _put(call, job, body, doubt)

    try:
        return await call.request(job, "PutObject", attempt, size=job.size)
    except SourceError as error:
        raise _after_doubt(job, error, doubt) from error
    except StoreError as error:
        md5 = body.md5
        if body.crc64nvme:
            md5 = hashlib.md5(body.data, usedforsecurity=False).hexdigest()
        etag = await resolve_put(call, job, error, doubt, md5)
    return StoredFile(job.size, etag, 1, "etag-md5")


def _after_doubt(job: FileJob, error: SourceError, doubt: Doubt) -> S3UploaderError:
    """Return what a source that fails in a later attempt means: the first may have taken effect."""
    if not doubt.maybe:
        return error
    return OutcomeUnknownError("outcome.unknown", key=job.key, reason=str(error))


async def _put(call: Call, job: FileJob, body: Body, doubt: Doubt) -> StoredFile:
    try:
        receipt = await call.store.put_object(
            job.key, body, content_type=_content_type(call, job), metadata={}
        )
    except StoreError as error:
        doubt.note(error)
        raise call.store_state.demanded(error, body) from error
    integrity, crc = call.config.integrity, body.crc64nvme
    verified = prove(receipt, body.md5, integrity, job.key, crc64nvme=crc)
    claimed = verified == "size"
    return StoredFile(body.size, receipt.etag, 1, verified, claimed=claimed, md5=body.md5)


def _content_type(call: Call, job: FileJob) -> str:
    return call.content_type or _type_of(os.path.splitext(job.name)[1])


@lru_cache(1024)
def _type_of(suffix: str) -> str:
    return mimetypes.guess_type(f"x{suffix}")[0] or _DEFAULT_TYPE
