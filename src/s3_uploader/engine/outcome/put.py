"""Find out whether a PutObject took effect although its response does not say so."""

import time

import anyio

from s3_uploader.checksums import is_md5
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.outcome.head import budget
from s3_uploader.engine.outcome.judge import Attempts, Likeness, judge_put
from s3_uploader.errors import OutcomeUnknownError, StoreError
from s3_uploader.store import ObjectInfo


async def resolve_put(job: FileJob, error: StoreError, attempts: Attempts, md5: str) -> str:
    """Return the ETag of the object if a PUT that ended with `error` took effect anyway.

    `md5` is the MD5 of its body, "" if unknown.

    Raises:
        StoreError: `error`; it did not.
        OutcomeUnknownError: the store does not say what is there.
    """
    quirks = job.call.store.provider.quirks
    until = time.monotonic() + budget(job)
    pauses = iter(quirks.mismatch_pauses if attempts.possible else ())
    pause: float | None = 0.0
    step = judge_put(attempts, None, last=False)
    cause: StoreError | None = None
    etag = ""
    while step == "look" and pause is not None:
        await anyio.sleep(pause)
        cause = None
        try:
            info = await job.head()
        except StoreError as unseen:
            cause = unseen
            seen: Likeness = "absent" if unseen.code == "store.not_found" else "unseen"
        else:
            seen, etag = _likeness(job, info, md5), info.etag
        pause = next(pauses, None)
        if pause is not None and time.monotonic() + pause > until:
            pause = None
        step = judge_put(attempts, seen, last=pause is None)
    if step == "committed":
        return etag
    if step == "failed":
        raise error
    raise OutcomeUnknownError.of(job.key, error) from cause


def _likeness(job: FileJob, info: ObjectInfo, md5: str) -> Likeness:
    """Return what an object is; it may be ours where nothing says that it is another."""
    etag = info.etag.lower()
    if md5 and etag == md5:
        return "same"
    contradicts = bool(md5) and is_md5(etag) and not info.opaque
    return "other" if contradicts or info.size not in {None, job.size} else "unseen"
