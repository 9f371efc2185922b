"""Translate what botocore and aiohttp raise into errors of ours, at this seam only."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import aiohttp
from botocore import exceptions as botocore_errors

from s3_uploader.errors import S3UploaderError, StoreError
from s3_uploader.store.answers import Request, bad_bucket, error_from_answer, error_from_os

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
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        details = answer.get("Error", {})
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        raise error_from_answer(
            request,
            status,
            str(details.get("Code", "")),
            str(details.get("Message", "")),
            str(headers.get("retry-after", "")),
        ) from error
    except (botocore_errors.BotoCoreError, aiohttp.ClientError, OSError) as error:
        raise _from_transport(request, error) from error


def _from_transport(request: Request, error: Exception) -> StoreError:
    chain = list(_causes(error))
    inner = [cause for cause in chain if isinstance(cause, _TOLD_BY_TYPE)]
    if inner:
        return error_from_os(request, inner[-1])
    detail = type(chain[-1]).__name__
    match error:
        case botocore_errors.ConnectTimeoutError():
            return error_from_os(request, TimeoutError())
        case botocore_errors.ReadTimeoutError():
            return error_from_os(request, TimeoutError(detail))
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
