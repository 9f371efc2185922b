"""Where ETags say nothing: compare what can be compared, and let no older object pass.

The response named an ETag. It is a version of the object, if not a digest; so HEAD has to show
that very ETag, or our token, on an object of our size that is not older than our request. Whether
ETags are versions is seen once they differ; until then objects are read back, where they can be.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from s3_uploader.checksums import may_be_md5
from s3_uploader.checksums.md5 import new as new_md5
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.outcome.head import Content
from s3_uploader.errors import IntegrityError, OutcomeUnknownError, StoreError
from s3_uploader.events import Evidence
from s3_uploader.store import ObjectInfo

_CLOCK_GRAIN = 2.0
"""Seconds by which an age can be wrong: it is the difference of two times to the second."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a response said of an object.

    Attributes:
        etag: the ETag it named.
        began: `time.monotonic()` before the first request that could have published it.
        md5: the MD5 of what was sent with one request, "" if unknown.
    """

    etag: str
    began: float
    md5: str = ""


async def confirm_size(job: FileJob, content: Content, claim: Claim) -> Evidence:
    """Return what proves an object of which the response proved nothing: "size", or better.

    Raises:
        IntegrityError: the object has another size.
        OutcomeUnknownError: it is not seen, or what is seen may be another object.
    """

    async def check() -> Evidence:
        try:
            info = await job.call.store.head_object(job.key)
        except StoreError as error:
            # A store's HEAD may deny existing objects for a while, with 403 or 404 (`Quirks`).
            raise error.as_retryable() from error
        size = job.size
        if info.size not in {None, size}:
            actual = str(info.size)
            raise IntegrityError("integrity.size", key=job.key, actual=actual, expected=size)
        proof = await _prove(content, claim, info, time.monotonic() - claim.began)
        versions = job.call.store_state.tells_versions(claim.etag) or content.is_ours(info)
        if proof == "size" and not versions and await _holds_another(job, claim):
            proof = None
        if proof is None:
            raise StoreError(
                "store.another_object",
                retryable=True,
                key=job.key,
                actual=info.etag,
                expected=claim.etag,
            )
        return proof

    try:
        return await job.request("HeadObject", check)
    except StoreError as error:
        raise OutcomeUnknownError.of(job.key, error) from error


async def _holds_another(job: FileJob, claim: Claim) -> bool:
    """Read the object back, if it was sent with one request; whether it is not what was sent."""
    if not claim.md5:
        return False
    digest = new_md5()
    size = 0
    stored = cast("AsyncGenerator[bytes]", job.call.store.get_object(job.key))
    try:
        async with aclosing(stored):
            async for block in stored:
                digest.update(block)
                size += len(block)
                if size > job.size:
                    return True
    except StoreError:
        return False
    return digest.hexdigest() != claim.md5


async def _prove(
    content: Content, claim: Claim, info: ObjectInfo, elapsed: float
) -> Evidence | None:
    """Return what proves the object, None if it may be another; `elapsed` seconds since began."""
    etag = info.etag.lower()
    if not info.opaque:
        digests = {claim.md5, content.composite} - {""}
        if etag in digests or (not claim.md5 and await content.is_whole(etag)):
            return "etag-md5"
        named = etag == claim.etag.lower()
        if digests and may_be_md5(etag) and not named:
            return None
    if info.size is None:
        return None
    if content.is_ours(info):
        return "size"
    older = info.age is not None and info.age > elapsed + _CLOCK_GRAIN
    return "size" if info.etag == claim.etag and not older else None
