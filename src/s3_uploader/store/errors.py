"""Decide, without I/O, what a store's HTTP response means. Shared by every lane."""

import re
import socket
import ssl
import time
from importlib import import_module
from typing import Any, NamedTuple

from s3_uploader.errors import StoreError
from s3_uploader.shortage import shortage_of

RETRYABLE_STATUS = frozenset({408, 429, 500, 502, 503, 504, *range(520, 528)})
"""Answers after which the same request may succeed.

520 to 527 are a proxy's words for trouble behind it; RunPod's sends 524 routinely.
507 (volume full) and 413 (body too large) are not among them: the same request meets them again.
"""

_RETRYABLE_CODES = frozenset(
    {
        "SlowDown",
        "RequestTimeout",
        "InternalError",
        "ServiceUnavailable",
        "BadDigest",
        "XAmzContentChecksumMismatch",
    }
)
"""Codes that mean the same although some stores send them with status 400 or 200.

BadDigest, and MinIO's word for it: the store saw other bytes than were hashed, so they changed on
the way.
"""

NO_CONNECTION = "no connection"
"""Detail of "store.timeout" and of a proxy's errors where nothing can have been sent."""

_FORBIDDEN = {
    "SignatureDoesNotMatch": "store.signature",
    "InvalidAccessKeyId": "store.unknown_access_key",
}


class Request(NamedTuple):
    """What was asked, for messages.

    Attributes:
        operation: the S3 operation, such as "UploadPart".
        key: the object key, "" for none.
        bucket, endpoint: where.
        size: bytes of the body.
        foreign_secret: the secret in use looks like one that its provider issues for another API.
        trusted: the store has accepted these credentials before, so what it refuses now is this
            request and not all of them.
        source: the key that CopyObject copies from: what is absent or of another version is that.
    """

    operation: str
    key: str
    bucket: str
    endpoint: str
    size: int = 0
    foreign_secret: bool = False
    trusted: bool = False
    source: str = ""


def error_from_response(
    request: Request, status: int, s3_code: str, detail: str, retry_after: str = ""
) -> StoreError:
    """Return the error that a response with `status` and `<Code>` `s3_code` stands for.

    `detail` is the response's `<Message>`, `retry_after` its Retry-After header; "" for none.
    """
    error = _error(request, status, s3_code, detail)
    error.retry_after = _seconds_until(retry_after)
    return error


def _error(request: Request, status: int, s3_code: str, detail: str) -> StoreError:
    if s3_code in {"RequestTimeTooSkewed", "ExpiredToken", "TokenRefreshRequired"}:
        code = "store.clock_skew" if s3_code == "RequestTimeTooSkewed" else "store.expired_token"
        return StoreError(code, status=status, s3_code=s3_code, fatal=True)
    if status == 403 or s3_code in _FORBIDDEN:
        return _forbidden(request, status, s3_code)
    if s3_code == "NoSuchBucket":
        where: dict[str, Any] = {"bucket": request.bucket, "endpoint": request.endpoint}
        return StoreError("store.no_bucket", status=status, s3_code=s3_code, fatal=True, **where)
    if s3_code == "NoSuchUpload":
        return StoreError("store.no_such_upload", status=status, s3_code=s3_code, key=request.key)
    simple = _by_status(request, status, s3_code)
    if simple is not None:
        return simple
    if _needs_md5(request, status, s3_code, detail):
        return StoreError("store.needs_md5", status=status, s3_code=s3_code, key=request.key)
    retryable = status in RETRYABLE_STATUS or s3_code in _RETRYABLE_CODES
    return StoreError(
        "store.busy" if retryable else "store.rejected",
        status=status,
        s3_code=s3_code,
        retryable=retryable,
        operation=request.operation,
        key=request.key,
        detail=detail or "no reason given",
    )


def http_time(value: str) -> float | None:
    """Return the seconds since 1970 of an HTTP date, None if it is none."""
    # Imported here: few responses carry a date that matters, and email is slow to import.
    parse = import_module("email.utils").parsedate_to_datetime
    try:
        return float(parse(value).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        # What it raises for which malformed date differs between versions of Python.
        return None


def _seconds_until(retry_after: str) -> float | None:
    """Read a Retry-After header: seconds, or a date (RFC 9110, section 10.2.3)."""
    if not retry_after:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    at = http_time(retry_after)
    return None if at is None else max(0.0, at - time.time())


def _forbidden(request: Request, status: int, s3_code: str) -> StoreError:
    if request.trusted and s3_code == "SignatureDoesNotMatch":
        return StoreError("store.signature_of_key", status=status, s3_code=s3_code, key=request.key)
    if request.foreign_secret and not request.trusted:
        return StoreError("store.rest_key", status=status, s3_code=s3_code, fatal=True)
    code = _FORBIDDEN.get(s3_code)
    if code:
        return StoreError(code, status=status, s3_code=s3_code, fatal=True)
    return StoreError(
        "store.access_denied",
        status=status,
        s3_code=s3_code,
        bucket=request.bucket,
        key=request.key,
    )


_WRITES = frozenset({"PutObject", "CreateMultipartUpload"})


def _by_status(request: Request, status: int, s3_code: str) -> StoreError | None:
    where: dict[str, Any] = {"bucket": request.bucket, "key": request.source or request.key}
    if status == 507:
        return StoreError("store.full", status=status, s3_code=s3_code, fatal=True)
    if status == 413 or s3_code == "EntityTooLarge":
        return StoreError("store.too_large", status=status, s3_code=s3_code, size=request.size)
    if status == 412:
        return StoreError("store.precondition", status=status, s3_code=s3_code, **where)
    if status == 404 and not s3_code and request.operation in _WRITES and not request.trusted:
        # No store returns 404 to a write without naming what is missing; a web server does.
        return StoreError("store.not_s3", status=status, fatal=True, endpoint=request.endpoint)
    if status == 404 and s3_code in {"NoSuchKey", "NotFound", "404", ""}:
        return StoreError("store.not_found", status=status, s3_code=s3_code, **where)
    return None


_WITH_BODY = frozenset({"PutObject", "UploadPart"})
_WRONG_MD5 = frozenset({"BadDigest", "InvalidDigest"})


def _needs_md5(request: Request, status: int, s3_code: str, detail: str) -> bool:
    """Whether the store refuses a body without Content-MD5.

    Amazon S3 and Backblaze B2 demand it where Object Lock is on (S3 User Guide, "Object Lock
    considerations"), with InvalidRequest and a sentence that names the header; others have a code.
    """
    if status != 400 or request.operation not in _WITH_BODY or s3_code in _WRONG_MD5:
        return False
    return "md5" in s3_code.lower() or "content-md5" in detail.lower()


_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL"})
"""OpenSSL's words for a peer that does not speak TLS, or no version of it that is allowed."""


def error_from_os(request: Request, error: OSError | MemoryError) -> StoreError:
    """Return what a failure of the way to the store stands for."""
    shortage = shortage_of(error)
    if shortage is not None:
        return shortage
    where: dict[str, Any] = {"endpoint": request.endpoint}
    doing: dict[str, Any] = {**where, "operation": request.operation, "key": request.key}
    match error:
        case ssl.SSLCertVerificationError():
            return StoreError("store.tls", fatal=True, detail=_verdict(error), **where)
        case ssl.SSLError() if error.reason in _NO_TLS:
            return StoreError("store.no_tls", fatal=True, detail=str(error.reason), **where)
        case socket.gaierror():
            return StoreError("store.unknown_host", fatal=True, retryable=True, **where)
        case ConnectionRefusedError():
            return StoreError("store.refused", fatal=True, retryable=True, **where)
        case TimeoutError():
            detail = str(error) or NO_CONNECTION
            return StoreError("store.timeout", retryable=True, detail=detail, **doing)
    detail = str(error) or type(error).__name__
    return StoreError("store.reset", retryable=True, detail=detail, **doing)


def _verdict(error: ssl.SSLCertVerificationError) -> str:
    # aiohttp's kind of this error has no verify_message.
    return getattr(error, "verify_message", "") or "certificate verification failed"


_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


def bad_bucket(bucket: str) -> StoreError:
    """Return the error for a bucket name no store can have."""
    return StoreError("store.bad_bucket", fatal=True, bucket=bucket)


def check_bucket(bucket: str) -> None:
    """Raise StoreError "store.bad_bucket" for a name that would change the request's path."""
    if not _BUCKET.fullmatch(bucket):
        raise bad_bucket(bucket)
