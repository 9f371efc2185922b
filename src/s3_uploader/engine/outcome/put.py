"""Find out whether a PutObject took effect although its response does not say so."""

import time

import anyio

from s3_uploader.engine.call import Call, FileJob
from s3_uploader.engine.outcome.head import budget
from s3_uploader.engine.outcome.proof import is_md5
from s3_uploader.errors import OutcomeUnknownError, ResourceError, StoreError
from s3_uploader.store.errors import NO_CONNECTION

LOOKS = (0.1, 0.3, 1.0)
"""Seconds between the looks at an object that is not what the response to its upload says."""

_THROTTLED = frozenset({429, 503})
"""Throttling: the request was not carried out. Any other failure may hide a success."""

_NEVER_CONNECTED = frozenset({"store.refused", "store.unknown_host", "store.tls"})
_GATEWAY_ERRORS = frozenset({502, 504, *range(520, 528)})
"""The origin may still be processing the request."""


def may_have_happened(error: StoreError) -> bool:
    """Return whether a request that failed so may have been carried out all the same."""
    return error.retryable and _connected(error) and error.status not in _THROTTLED


def _connected(error: StoreError) -> bool:
    if isinstance(error, ResourceError) and error.code != "process.memory":
        # What was lacking was lacking before anything was sent.
        return False
    unconnected = error.params.get("detail") == NO_CONNECTION
    return error.code not in _NEVER_CONNECTED and not unconnected


class Doubt:
    """Whether one of the attempts of a request may have taken effect.

    Attributes:
        seldom: the store throttled it. That is hardly ever untrue.
        maybe: an attempt failed in another way that may hide a success.
        lost: an attempt got no response from the store itself, so it may even happen later.
    """

    def __init__(self) -> None:
        self.seldom = self.maybe = self.lost = False

    def note(self, error: StoreError) -> None:
        """Take an attempt's failure into account."""
        if error.retryable and _connected(error):
            self.seldom = True
            self.maybe |= may_have_happened(error)
            from_elsewhere = error.status is None or error.status in _GATEWAY_ERRORS
            self.lost |= from_elsewhere or error.code == "store.bad_response"


async def resolve_put(call: Call, job: FileJob, error: StoreError, doubt: Doubt, md5: str) -> str:
    """Return the ETag of the object if a PUT that ended with `error` took effect all the same.

    `md5` is the MD5 of its body, "" if unknown.

    Raises:
        StoreError: `error`; it did not.
        OutcomeUnknownError: the store does not say what is there.
    """
    if not doubt.seldom:
        raise error
    until = time.monotonic() + budget(call, job)
    for pause in (*LOOKS, 0.0) if doubt.maybe else (0.0,):
        seen: StoreError | None = None
        other = False
        try:
            info = await call.attempt(lambda: call.store.head_object(job.key))
        except StoreError as unseen:
            seen = unseen
        else:
            etag = info.etag.lower()
            if md5 and etag == md5:
                return info.etag
            other = info.size not in {None, job.size}
            other = other or bool(md5 and is_md5(etag) and not info.opaque)
        if not pause or time.monotonic() + pause > until:
            break
        await anyio.sleep(pause)
    absent = seen is not None and seen.code == "store.not_found"
    if (absent or other) and not doubt.lost:
        raise error
    raise OutcomeUnknownError("outcome.unknown", key=job.key, reason=str(error)) from seen
