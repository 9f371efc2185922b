"""Translate what botocore and aiohttp raise into our errors, at this seam only."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
from botocore import exceptions as botocore_errors

from s3_uploader.errors import ConfigError, S3UploaderError, StoreError
from s3_uploader.ini import ini_fault
from s3_uploader.shortage import shortage_of
from s3_uploader.store.boto.transport import RedirectedError
from s3_uploader.store.errors import (
    NO_CONNECTION,
    RETRYABLE_STATUS,
    Request,
    bad_bucket,
    error_from_os,
)
from s3_uploader.store.proxy import Proxy, proxy_for
from s3_uploader.store.redirects import Target, follow, moved
from s3_uploader.store.response import Response
from s3_uploader.store.results import bad_response, error_of
from s3_uploader.store.sigv4 import quote_path

RESPONSE = "s3_uploader response"
"""Where a parsed response of the client holds the response as it came."""

_TOLD_BY_TYPE = (ssl.SSLError, socket.gaierror, ConnectionRefusedError)
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
    """Raise every failure of botocore and aiohttp as a StoreError; let our own pass.

    A malformed file of the AWS configuration is a ConfigError.
    """
    try:
        yield
    except (S3UploaderError, asyncio.CancelledError):
        raise
    except botocore_errors.ClientError as error:
        result = cast("dict[str, Any]", error.response)
        raise _from_response(request, result[RESPONSE]) from error
    except RedirectedError as error:
        raise _redirected(request, error.response) from error
    except botocore_errors.ConfigParseError as error:
        # Not chained: the parser's own message quotes the line, which may hold a secret.
        found = cast("dict[str, Any]", error.kwargs)
        path, reason = str(found["path"]), ini_fault(found["error"])
        raise ConfigError("config.aws_malformed", path=path, reason=reason) from None
    except (botocore_errors.BotoCoreError, aiohttp.ClientError, OSError, MemoryError) as error:
        raise _from_transport(request, error) from error
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        # botocore meets a number, a date or an element that it does not expect.
        raise bad_response(request, None, f"not readable ({type(error).__name__})") from error


def _from_response(request: Request, response: Response) -> StoreError:
    """Return the error of a response that botocore takes for one."""
    proxy = proxy_for(request.endpoint)
    if proxy is not None and response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return _proxy_refused(request, proxy, response.status, HTTPStatus(response.status).phrase)
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
    shortages = [shortage for cause in chain if (shortage := shortage_of(cause))]
    if shortages:
        return shortages[0]
    proxy = proxy_for(request.endpoint)
    if proxy is not None:
        failure = _from_proxy(request, proxy, chain)
        if failure is not None:
            return failure
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


def _from_proxy(request: Request, proxy: Proxy, chain: list[BaseException]) -> StoreError | None:
    """Return the error if it is the proxy's: its refusal, or no connection to it.

    Behind a proxy that is every connection that is not made; only TLS goes through it.
    """
    for cause in chain:
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return _proxy_refused(request, proxy, cause.status, cause.message)
    last = chain[-1]
    to_proxy = [
        cause
        for cause in chain
        if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError)
        and (cause.host.lower(), cause.port) == proxy.address
    ]
    timed_out = isinstance(chain[0], aiohttp.ConnectionTimeoutError)
    if not to_proxy and not timed_out:
        return None
    untrusted = isinstance(last, ssl.SSLError | ssl.CertificateError)
    reason = type(last).__name__
    if isinstance(last, OSError) and last.errno and not untrusted:
        # gaierror's numbers are not the system's.
        named = isinstance(last, socket.gaierror)
        reason = (last.strerror or reason) if named else os.strerror(last.errno)
    return StoreError(
        "store.proxy_unreachable",
        fatal=not timed_out,
        retryable=not untrusted,
        proxy=proxy.url,
        variable=proxy.variable,
        endpoint=request.endpoint,
        reason="timed out" if timed_out else reason,
        detail=NO_CONNECTION,
    )


def _proxy_refused(request: Request, proxy: Proxy, status: int, message: str) -> StoreError:
    """Return the error of a proxy that refuses the way to the store."""
    retryable = status in RETRYABLE_STATUS
    return StoreError(
        "store.proxy_refused",
        fatal=not retryable,
        retryable=retryable,
        proxy=proxy.url,
        variable=proxy.variable,
        endpoint=request.endpoint,
        reason=f"{status} {message}".strip(),
        detail=NO_CONNECTION,
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
