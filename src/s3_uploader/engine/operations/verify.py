"""Compare local files with what the store holds, without uploading anything."""

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from s3_uploader.checksums import Digests
from s3_uploader.config import Symlinks
from s3_uploader.engine.call import Call
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.outcome.etag import has_etag
from s3_uploader.engine.work import run_over
from s3_uploader.errors import S3UploaderError, StoreError
from s3_uploader.events import Evidence, FileVerified, ScanFinished, VerifyResult
from s3_uploader.keys import check_key
from s3_uploader.source import FileSource
from s3_uploader.store import ObjectInfo


async def verify_file(call: Call, path: str, key: str) -> None:
    """Compare one file with the object at `key`; what was found is an event."""
    job = FileJob(call, 0, os.path.basename(path), key, FileSource(path, call.reader))
    await _verify(job, alone=True)


async def verify_directory(call: Call, root: str, prefix: str, symlinks: Symlinks) -> None:
    """Compare every file below `root` with the object at `prefix`/<relative path>.

    `symlinks` says which links below `root` are followed, as in an upload.

    Raises:
        InvalidKeyError: no key can begin with `prefix`.
        SourceError: `root` itself is missing, not a directory or unreadable.
    """
    if prefix:
        check_key(prefix)

    async def verify(job: FileJob, problem: S3UploaderError | None) -> None:
        if problem is not None:
            await _emit(job, "failed", error=problem)
        else:
            await _verify(job)

    await run_over(call, root, prefix, symlinks, verify)


async def _verify(job: FileJob, *, alone: bool = False) -> None:
    """Compare one file with its object; one that is `alone` is the total of its call."""
    try:
        check_key(job.key, job.call.store.provider.keys)
        await job.source.open()
        if alone:
            await job.call.emit(ScanFinished, files=1, size=job.size)
        info = await _head(job)
        if info is None:
            await _check_bucket(job)
            await _emit(job, "missing")
        elif info.size not in {None, job.size}:
            await _emit(job, "different", verified_by="size")
        else:
            evidence = await _compare(job, info)
            await job.source.check()
            result: VerifyResult = "same" if evidence else "different"
            await _emit(job, result, verified_by=evidence or "content")
    except S3UploaderError as error:
        if isinstance(error, StoreError) and (error.fatal or _meets_all(job.call, error)):
            job.call.stopped = error
        await _emit(job, "failed", error=error)


def _meets_all(call: Call, error: StoreError) -> bool:
    """Whether every other file would be refused too: a key that may not read has read nothing."""
    return error.code == "store.access_denied" and not call.store_state.head_seen


async def _emit(
    job: FileJob,
    result: VerifyResult,
    *,
    verified_by: Evidence = "none",
    error: S3UploaderError | None = None,
) -> None:
    await job.emit(
        FileVerified,
        result=result,
        verified_by=verified_by,
        code=error.code if error else "",
        params=error.params if error else {},
    )


async def _head(job: FileJob) -> ObjectInfo | None:
    """Return what the store says of the object, None if it says that there is none."""
    call, looks = job.call, 0

    async def head() -> ObjectInfo | None:
        nonlocal looks
        looks += 1
        try:
            info = await call.store.head_object(job.key)
        except StoreError as error:
            absent = error.code == "store.not_found"
            call.store_state.head_seen |= absent
            enough = min(call.store.provider.quirks.absent_heads, call.config.max_attempts)
            if absent and looks >= enough:
                return None
            if absent or error.code == "store.access_denied":
                raise error.as_retryable() from error
            raise
        call.store_state.head_seen = True
        return info

    return await job.request("HeadObject", head)


async def _check_bucket(job: FileJob) -> None:
    """Tell, once, a missing bucket from a missing object: HEAD says 404 for both.

    Raises:
        StoreError: "store.no_bucket".
    """
    call = job.call
    if call.store_state.bucket_exists:
        return
    try:
        await call.attempt(lambda: call.store.list_multipart_uploads(job.key))
    except StoreError as error:
        if error.code == "store.no_bucket":
            raise
        # It cannot list; then what HEAD says has to do.
    call.store_state.bucket_exists = True


async def _compare(job: FileJob, info: ObjectInfo) -> Evidence | None:
    """Return what proves that file and object hold the same bytes, None if they do not."""
    if await has_etag(job, info.etag):
        return "etag-md5"
    # An encrypted object's ETag, or parts of unknown sizes: only the bytes themselves can decide.
    return await job.request("GetObject", lambda: _same_bytes(job))


async def _same_bytes(job: FileJob) -> Evidence | None:
    body = job.source.body(0, job.size, Digests())
    local = cast("AsyncGenerator[bytes]", body.chunks())
    remote = cast("AsyncGenerator[bytes]", job.call.store.get_object(job.key))
    waiting = b""
    async with aclosing(local), aclosing(remote):
        async for block in remote:
            while len(waiting) < len(block):
                more = await anext(local, b"")
                if not more:
                    return None
                waiting += more
            if waiting[: len(block)] != block:
                return None
            waiting = waiting[len(block) :]
        rest = waiting or await anext(local, b"")
    return None if rest else "content"
