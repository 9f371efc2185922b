"""The HTTP session below the aioboto3 client: aiohttp's, with the promises of the wire lane.

aiobotocore's own session checks no host name of a certificate, lets aiohttp follow any redirect
with body and token, and holds a response of any size.
"""

import asyncio
import ssl
from asyncio.trsock import TransportSocket
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiobotocore.awsrequest import AioAWSResponse
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from anyio.lowlevel import checkpoint
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
        """Close the connections; return once they are closed."""
        session, self._session = self._session, None
        if session is not None:
            self._connector.abort()
            await session.close()
            await self._connector.wait_closed()

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
            self._connector = _Connector(limit=self._connections, ssl=self._context)
            self._session = aiohttp.ClientSession(
                connector=self._connector,
                timeout=self._timeout,
                skip_auto_headers={"CONTENT-TYPE"},
                auto_decompress=False,
            )
        return self._session


class _Connector(aiohttp.TCPConnector):
    """Drops what is unsent of a connection that is given up, and knows when each is closed.

    aiohttp closes and forgets a connection whose request was broken off; asyncio then keeps it
    until the store has taken all that is buffered: for ever if the store has stalled, and beyond
    the end of the loop.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._sockets: dict[asyncio.Transport, TransportSocket] = {}

    async def connect(self, *arguments: Any, **options: Any) -> Connection:
        """Return a connection, new or used before."""
        connection = await super().connect(*arguments, **options)
        protocol, transport = connection.protocol, connection.transport
        if protocol is not None and transport is not None:
            if transport not in self._sockets:
                self._sockets = {kept: sock for kept, sock in self._sockets.items() if _open(sock)}
                self._sockets[transport] = transport.get_extra_info("socket")
            loop = asyncio.get_running_loop()

            def released() -> None:
                # Whether it is kept for another request is decided right after this call.
                loop.call_soon(_abort_if_closed, protocol, transport)

            connection.add_callback(released)
        return connection

    def abort(self) -> None:
        """Let the loop close every connection in its next turns, whatever is unsent."""
        for transport in self._sockets:
            transport.abort()

    async def wait_closed(self) -> None:
        """Return once every connection is closed."""
        while any(map(_open, self._sockets.values())):
            await checkpoint()


def _abort_if_closed(protocol: ResponseHandler, transport: asyncio.Transport) -> None:
    if protocol.transport is None:
        transport.abort()


def _open(sock: TransportSocket) -> bool:
    return sock.fileno() >= 0


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
