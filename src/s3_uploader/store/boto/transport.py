"""The HTTP session below the aioboto3 client: aiohttp's, with the promises of the wire lane.

aiobotocore's own session checks no host name of a certificate, lets aiohttp follow any redirect
with body and token, and holds a response of any size.
"""

import ssl
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiobotocore.awsrequest import AioAWSResponse
from botocore.httpsession import ProxyConfiguration
from multidict import CIMultiDict
from yarl import URL

from s3_uploader.store.redirects import REDIRECTS
from s3_uploader.store.response import MAX_BODY, Response, add_header

_ERRORS = 300
"""From this status on a response is read whole, also where an object would be streamed."""


class ResponseTooLongError(aiohttp.ClientPayloadError):
    """A response that is to be held in memory is too long for that."""


class RedirectedError(Exception):
    """A redirect that names no region: botocore would ask on without end, aiohttp go anywhere."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


class Transport:
    """Sends requests for an aiobotocore client.

    Args:
        context: TLS for every connection, to the store, to an https proxy, and through a proxy.
        settings: what aiobotocore gives a session; `proxies`, `proxies_config`, `timeout` and
            `max_pool_connections` are used.
    """

    def __init__(self, *, context: ssl.SSLContext, **settings: Any) -> None:
        connect, read = settings["timeout"]
        self._context = context
        self._timeout = aiohttp.ClientTimeout(sock_connect=connect, sock_read=read)
        self._connections = settings["max_pool_connections"]
        self._proxies = ProxyConfiguration(
            proxies=settings["proxies"], proxies_settings=settings["proxies_config"]
        )
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, request: Any) -> AioAWSResponse:
        """Send botocore's request and return botocore's response."""
        proxy = self._proxies.proxy_url_for(request.url)
        headers: CIMultiDict[str] = CIMultiDict(
            (name, value.decode() if isinstance(value, bytes) else value)
            for name, value in request.headers.items()
        )
        headers["Accept-Encoding"] = "identity"
        response = await self._opened().request(
            request.method,
            URL(request.url, encoded=True),
            headers=headers,
            data=request.body,
            proxy=proxy,
            proxy_headers=self._proxies.proxy_headers_for(request.url),
            allow_redirects=False,
        )
        found: dict[bytes, bytes] = {}
        for name, value in response.raw_headers:
            add_header(found, name.lower(), value)
        if response.status in REDIRECTS and b"x-amz-bucket-region" not in found:
            redirect = Response(response.status, found, await _read(response))
            # Without a Location botocore looks for the region with a HEAD.
            if redirect.header(b"location") or request.method == "HEAD":
                raise RedirectedError(redirect)
            raw: Any = _Whole(redirect.body)
        elif not request.stream_output or response.status >= _ERRORS:
            raw = _Whole(await _read(response))
        else:
            raw = response
        text: Any = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in found.items()
        }
        return AioAWSResponse(str(response.url), response.status, text, raw)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._context),
                timeout=self._timeout,
                skip_auto_headers={"CONTENT-TYPE"},
                auto_decompress=False,
            )
        return self._session


class _Whole:
    """A body that has been read, as aiobotocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        """Return the body."""
        return self._body


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Read a body that is to be held in memory; the connection is then free for another request."""
    body = bytearray()
    async with response:
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > MAX_BODY:
                response.close()
                raise ResponseTooLongError(f"a body of over {MAX_BODY} bytes")
    return bytes(body)
