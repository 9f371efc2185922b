"""Translate what botocore and aiohttp raise into errors of ours, at this seam only."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
from botocore import exceptions as botocore_errors

from s3_uploader.errors import S3UploaderError, StoreError
from s3_uploader.store.answers import Request, bad_bucket, error_from_os
from s3_uploader.store.boto_transport import RedirectedError
from s3_uploader.store.redirects import Target, follow, moved
from s3_uploader.store.response import Response
from s3_uploader.store.results import bad_response, error_of
from s3_uploader.store.sigv4 import quote_path

RESPONSE = "s3_uploader response"
"""Where a parsed response of the client holds the response as it came."""

_OK = 200
_TOLD_BY_TYPE = (ssl.SSLCertVerificationError, socket.gaierror, ConnectionRefusedError)
_BROKEN = (
    botocore_errors.HTTPClientError,
    # No HTTPClientError: a reset while a body is sent arrives as one.
    botocore_errors.ConnectionError,
    aiohttp.ClientError,
    OSError,
)
_NO_CREDENTIALS = (
    botocore_errors.NoCredentialsError,
    botocore_errors.PartialCredentialsError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.NoRegionError,
    botocore_errors.ProfileNotFound,
)


@contextmanager
def translated(request: Request) -> Iterator[None]:
    """Raise every failure of botocore and aiohttp as a StoreError; let our own pass."""
    try:
        yield
    except (S3UploaderError, asyncio.CancelledError):
        raise
    except botocore_errors.ClientError as error:
        answer = cast("dict[str, Any]", error.response)
        raise _from_response(request, answer[RESPONSE]) from error
    except RedirectedError as error:
        raise _redirected(request, error.response) from error
    except (botocore_errors.BotoCoreError, aiohttp.ClientError, OSError) as error:
        raise _from_transport(request, error) from error
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        # botocore meets a number, a date or an element that it does not expect.
        unread = Response(_OK, {})
        raise bad_response(request, unread, f"not readable: {type(error).__name__}") from error


def _from_response(request: Request, response: Response) -> StoreError:
    """Return the error of a response that botocore takes for one."""
    return error_of(request, response) or bad_response(request, response, "an error in a success")


def _redirected(request: Request, response: Response) -> StoreError:
    """Return the error that names where a redirect points: here none is followed."""
    parts = urlsplit(request.endpoint)
    base_path = f"{parts.path.rstrip('/')}/{quote_path(request.bucket)}"
    at = Target(f"{parts.scheme}://{parts.netloc}", base_path)
    key_path = f"/{quote_path(request.key)}" if request.key else ""
    try:
        location = response.header(b"location")
        target = follow(request, at, key_path, location, status=response.status)
    except StoreError as refused:
        return refused
    return moved(request, response.status, target.endpoint)


def _from_transport(request: Request, error: Exception) -> StoreError:
    chain = list(_causes(error))
    inner = [cause for cause in chain if isinstance(cause, _TOLD_BY_TYPE)]
    if inner:
        return error_from_os(request, inner[-1])
    detail = type(chain[-1]).__name__
    match error:
        case aiohttp.ConnectionTimeoutError():
            return error_from_os(request, TimeoutError())
        case TimeoutError():
            return error_from_os(request, TimeoutError("no whole response"))
        case _ if isinstance(error, _BROKEN):
            return error_from_os(request, ConnectionError(detail))
        case _ if isinstance(error, _NO_CREDENTIALS):
            return StoreError("store.no_credentials", fatal=True, detail=type(error).__name__)
        case botocore_errors.ParamValidationError() if "bucket" in str(error).lower():
            return bad_bucket(request.bucket)
    return StoreError(
        "store.unexpected", operation=request.operation, key=request.key, detail=detail
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it wraps, in each of the ways botocore and aiohttp wrap."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "kwargs", {}).get("error") or getattr(error, "os_error", None)
        inner = inner or getattr(error, "certificate_error", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__
