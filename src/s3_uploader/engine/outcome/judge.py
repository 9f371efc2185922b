"""Decide, without I/O, what became of a request whose response does not say so.

Each function takes what is known and returns the next step; a loop beside it performs the step.
"""

from dataclasses import dataclass
from typing import Literal

from s3_uploader.errors import ResourceError, StoreError
from s3_uploader.store.errors import NO_CONNECTION

_THROTTLED = frozenset({429, 503})
"""Throttling: the request was not carried out. Any other failure may hide a success."""

_NEVER_CONNECTED = frozenset({"store.refused", "store.unknown_host", "store.tls"})
_GATEWAY_ERRORS = frozenset({502, 504, *range(520, 528)})
"""Gateway errors: the origin may still be processing the request."""

CONSUMED = frozenset({"NoSuchUpload", "InvalidPart"})
"""What a store says to Complete where it may have completed the upload before."""

Likeness = Literal["ours", "damaged", "same", "other", "absent", "unseen"]
"""What a HEAD shows: our object; ours by its token with other content; an object of our content;
another one; none; no response, or one that does not say."""

UploadState = Literal["unsure", "open", "gone"]
"""What ListParts says of a multipart upload."""

Step = Literal["committed", "damaged", "failed", "unknown", "as told", "look", "list", "retry"]
"""What to conclude, or else to do next: look at the object, list the parts, try again."""


def may_have_committed(error: StoreError) -> bool:
    """Return whether a request that failed so may have been carried out anyway."""
    return error.retryable and _connected(error) and error.status not in _THROTTLED


def _connected(error: StoreError) -> bool:
    if isinstance(error, ResourceError) and error.code != "process.memory":
        # What was lacking was lacking before anything was sent.
        return False
    unconnected = error.params.get("detail") == NO_CONNECTION
    return error.code not in _NEVER_CONNECTED and not unconnected


@dataclass(slots=True)
class Attempts:
    """What the failed attempts of one request leave open.

    Attributes:
        unlikely: the store throttled one. That is hardly ever untrue.
        possible: one failed in another way that may hide a success.
        in_flight: one got no response from the store itself, so it may even happen later.
    """

    unlikely: bool = False
    possible: bool = False
    in_flight: bool = False

    def record(self, error: StoreError) -> None:
        """Take an attempt's failure into account."""
        if error.retryable and _connected(error):
            self.unlikely = True
            self.possible |= may_have_committed(error)
            from_elsewhere = error.status is None or error.status in _GATEWAY_ERRORS
            self.in_flight |= from_elsewhere or error.code == "store.bad_response"


def judge_put(attempts: Attempts, seen: Likeness | None, *, last: bool) -> Step:
    """Return what became of a PutObject whose attempts all failed.

    Args:
        attempts: what they leave open.
        seen: what the last look has shown, None before the first.
        last: no further look is to be taken.
    """
    if not attempts.unlikely:
        return "failed"
    if seen in {"ours", "same"}:
        return "committed"
    if seen is None or not last:
        return "look"
    gone_by = seen in {"absent", "other"} and not attempts.in_flight
    return "failed" if gone_by else "unknown"


@dataclass(frozen=True, slots=True)
class CompleteCase:
    """What is known of an upload whose Complete failed.

    Attributes:
        possible: an attempt may have taken effect.
        retries_left: Complete may be tried again.
        upload: what ListParts has said since.
    """

    possible: bool
    retries_left: bool
    upload: UploadState = "unsure"


def judge_failure(error: StoreError, case: CompleteCase) -> Step:
    """Return what to do after a Complete has failed with `error`."""
    consumed = error.s3_code in CONSUMED
    if not (error.retryable or consumed or case.possible):
        return "failed"
    # What the store says of the upload may not be true: the listing decides.
    return "list" if consumed or not case.retries_left else "look"


def judge_complete(case: CompleteCase, seen: Likeness, *, listed: bool, time_left: bool) -> Step:
    """Return what became of an upload whose Complete failed.

    Args:
        case: what is known of it.
        seen: what the last look has shown.
        listed: the parts have been listed since that look.
        time_left: there is time for another look.
    """
    if seen == "damaged":
        return "damaged"
    if seen == "ours" or (seen == "same" and case.upload == "gone"):
        return "committed"
    unsure = case.upload == "unsure" and not case.retries_left
    if seen == "same" and unsure and not listed:
        return "list"
    if time_left:
        return "look"
    if case.retries_left and case.upload != "gone":
        return "retry"
    return "failed" if case.upload == "open" and not case.possible else "unknown"


def judge_response(seen: Likeness, *, settled: bool, time_left: bool) -> Step:
    """Return what to make of a Complete that succeeded and named an ETag that is not the parts'.

    Args:
        seen: what the last look has shown.
        settled: what is seen has had time to become the new object.
        time_left: there is time for another look.
    """
    if seen in {"ours", "same"}:
        return "committed"
    if seen == "damaged":
        return "damaged"
    if seen == "other" and settled:
        return "as told"
    return "look" if time_left else "unknown"
