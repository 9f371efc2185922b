"""One file: decide how it is sent, send it, prove it, tell how it ended."""

import mimetypes
import os
import time
from dataclasses import dataclass, replace
from functools import lru_cache

import anyio
from anyio import to_thread

from s3_uploader.engine.call import Call, Job
from s3_uploader.engine.crew import work_through
from s3_uploader.engine.multipart import multipart_upload
from s3_uploader.engine.proof import composite_etag, prove
from s3_uploader.errors import IntegrityError, S3UploaderError, StoreError
from s3_uploader.events import BytesSent, FileFailed, FileStarted, FileUploaded, Verified
from s3_uploader.plan import Part, PartPlan, plan_parts
from s3_uploader.source import FileRange, Fingerprint, open_source, recheck
from s3_uploader.store import Body, BytesBody, CompletedPart

SMALL = 256 * 1024
"""Files up to this many bytes are read whole, hashed and then sent, so a wrong body can be refused
by Content-MD5 before it replaces an object. Larger ones are hashed while they are sent."""

_DEFAULT_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Committed:
    size: int
    etag: str
    parts: int
    verified_by: Verified


async def transfer(call: Call, job: Job) -> None:
    """Upload one file and emit its outcome. An expected failure is an event, not an exception."""
    began = time.monotonic()
    try:
        committed = await _send(call, job)
        if committed.verified_by == "size":
            await call.request(job, "HeadObject", lambda: _check_size(call, job, committed.size))
    except S3UploaderError as error:
        if isinstance(error, StoreError) and error.fatal:
            call.stopped = error
        await fail(call, job, error, began)
        return
    await call.events.emit(
        FileUploaded(
            upload=call.number,
            at=time.monotonic(),
            file=job.file,
            name=job.name,
            key=job.key,
            size=committed.size,
            etag=committed.etag,
            parts=committed.parts,
            verified_by=committed.verified_by,
            lane=call.store.lane,
            seconds=time.monotonic() - began,
        )
    )


async def fail(call: Call, job: Job, error: S3UploaderError, began: float) -> None:
    """Emit the failure of a file; `began` is `time.monotonic()` at its start."""
    now = time.monotonic()
    await call.events.emit(
        FileFailed(
            upload=call.number,
            at=now,
            file=job.file,
            name=job.name,
            key=job.key,
            size=job.size,
            code=error.code,
            params=error.params,
            seconds=now - began,
        )
    )


async def _send(call: Call, job: Job) -> _Committed:
    if job.size <= min(SMALL, call.store.limits.multipart_threshold):
        await _started(call, job)
        committed = await _put_small(call, job)
        if committed is not None:
            return committed
        # The file has grown past "small" since it was measured.
    fingerprint = await to_thread.run_sync(open_source, job.path)
    job = replace(job, size=fingerprint.size)
    await _started(call, job)
    if fingerprint.size <= call.store.limits.multipart_threshold:
        return await _put_large(call, job, fingerprint)
    return await _put_parts(call, job, fingerprint)


async def _started(call: Call, job: Job) -> None:
    await call.events.emit(
        FileStarted(
            upload=call.number,
            at=time.monotonic(),
            file=job.file,
            name=job.name,
            key=job.key,
            size=job.size,
        )
    )


async def _put_small(call: Call, job: Job) -> _Committed | None:
    async def attempt() -> _Committed | None:
        content = await call.reader.read(job.path)
        if content is None:
            return None
        return await _put(call, job, BytesBody(content.data, content.md5))

    return await call.request(job, "PutObject", attempt, size=job.size)


async def _put_large(call: Call, job: Job, fingerprint: Fingerprint) -> _Committed:
    body = _range(call, job, fingerprint, Part(1, 0, job.size))
    return await call.request(job, "PutObject", lambda: _put(call, job, body), size=job.size)


async def _put(call: Call, job: Job, body: Body) -> _Committed:
    receipt = await call.store.put_object(
        job.key, body, content_type=_content_type(call, job), metadata={}
    )
    verified = prove(receipt, body.md5, call.config.integrity, job.key)
    return _Committed(body.size, receipt.etag, 1, verified)


async def _put_parts(call: Call, job: Job, fingerprint: Fingerprint) -> _Committed:
    limits = call.store.limits
    plan = plan_parts(job.size, limits.part_size, limits)
    async with multipart_upload(call, job, _content_type(call, job)) as upload_id:
        sent = await _send_all(call, job, fingerprint, plan, upload_id)
        await to_thread.run_sync(recheck, job.path, fingerprint)
        if len(sent) != plan.count:
            raise AssertionError(f"{len(sent)} of {plan.count} parts at the end of {job.key}")
        completed = [CompletedPart(part.number, sent[part.number].etag) for part in plan]
        receipt = await call.request(
            job,
            "CompleteMultipartUpload",
            lambda: call.store.complete_multipart_upload(job.key, upload_id, completed),
        )
    proven = all(part.verified_by == "etag-md5" for part in sent.values())
    expected = composite_etag(sent[part.number].md5 for part in plan) if proven else ""
    verified = prove(receipt, expected, call.config.integrity, job.key)
    return _Committed(job.size, receipt.etag, plan.count, verified)


@dataclass(frozen=True, slots=True)
class _SentPart:
    etag: str
    md5: str
    verified_by: Verified


async def _send_all(
    call: Call, job: Job, fingerprint: Fingerprint, plan: PartPlan, upload_id: str
) -> dict[int, _SentPart]:
    """Send every part with some workers over one iterator; the first failure ends them all."""
    sent: dict[int, _SentPart] = {}
    failures: list[S3UploaderError] = []
    parts = iter(plan)

    async def take() -> Part | None:
        return None if failures else next(parts, None)

    with anyio.CancelScope() as scope:

        async def send(part: Part) -> None:
            try:
                sent[part.number] = await _send_part(call, job, fingerprint, part, upload_id)
            except S3UploaderError as error:
                failures.append(error)
                scope.cancel()

        await work_through(take, send, call.limiter)
    if failures:
        raise failures[0]
    return sent


async def _send_part(
    call: Call, job: Job, fingerprint: Fingerprint, part: Part, upload_id: str
) -> _SentPart:
    body = _range(call, job, fingerprint, part)

    async def attempt() -> _SentPart:
        receipt = await call.store.upload_part(job.key, upload_id, part.number, body)
        verified = prove(receipt, body.md5, call.config.integrity, job.key)
        return _SentPart(receipt.etag, body.md5, verified)

    return await call.request(job, "UploadPart", attempt, size=part.size, part=part.number)


def _range(call: Call, job: Job, fingerprint: Fingerprint, part: Part) -> FileRange:
    def progress(sent: int) -> None:
        call.events.offer(
            BytesSent(
                upload=call.number,
                at=time.monotonic(),
                file=job.file,
                part=part.number,
                sent=sent,
            )
        )

    return FileRange(
        job.path,
        fingerprint,
        offset=part.offset,
        size=part.size,
        hashing=call.config.integrity != "off",
        progress=progress,
    )


async def _check_size(call: Call, job: Job, size: int) -> None:
    """Compare the size where the store gives nothing better."""
    info = await call.store.head_object(job.key)
    if info.size != size:
        raise IntegrityError("integrity.size", key=job.key, actual=info.size, expected=size)


def _content_type(call: Call, job: Job) -> str:
    return call.content_type or _type_of(os.path.splitext(job.name)[1])


@lru_cache(1024)
def _type_of(suffix: str) -> str:
    return mimetypes.guess_type(f"x{suffix}")[0] or _DEFAULT_TYPE
