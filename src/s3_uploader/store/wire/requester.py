"""Requests of the wire lane: signed, sent where the bucket is, and what comes back judged."""

import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from s3_uploader.config import UploadConfig
from s3_uploader.errors import StoreError
from s3_uploader.providers import is_foreign_secret
from s3_uploader.store import results
from s3_uploader.store.body import Body, BytesBody
from s3_uploader.store.errors import Request, error_from_os, http_time
from s3_uploader.store.fallback import CannotServeError
from s3_uploader.store.ranges import Range, check_received
from s3_uploader.store.redirects import MAX_HOPS, REDIRECTS, Target, follow
from s3_uploader.store.response import Response
from s3_uploader.store.sigv4 import UNSIGNED_PAYLOAD, Credentials, Signer, quote_path
from s3_uploader.store.wire.parser import MalformedResponseError
from s3_uploader.store.wire.reading import Download
from s3_uploader.store.wire.route import Route
from s3_uploader.version import __version__

T = TypeVar("T")

EMPTY = BytesBody(b"")

_USER_AGENT = f"s3up/{__version__}"
_SKEW_SECONDS = 60.0
"""Stores allow minutes; a smaller difference is not what they refused."""

_OF_ANOTHER_REGION = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect"})
"""Codes of a store that wants requests signed for, or sent to, another region."""


@dataclass(frozen=True, slots=True)
class SigningContext:
    """For which bucket requests are signed, and by whom; credentials may change over time.

    `renew` is called with credentials that have expired, and returns whether there are others.
    """

    bucket: str
    endpoint: str
    region: str
    credentials: Callable[[], Awaitable[Credentials]]
    renew: Callable[[Credentials], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request without its body; `headers` are completed when it is signed.

    `source` is the key that it copies, "" for none.
    """

    operation: str
    method: str
    key: str
    query: str
    headers: dict[str, str]
    source: str = ""


class Requester:
    """Makes the requests of one bucket over its own connections.

    Redirects are followed where S3 means them, and signed again (`redirects`).

    Args:
        signing: bucket, endpoint, region, credentials.
        context: TLS, None for plain http.
        config: settings.
        workers: large bodies in flight at most.
    """

    def __init__(
        self,
        signing: SigningContext,
        context: ssl.SSLContext | None,
        config: UploadConfig,
        workers: int,
    ) -> None:
        self._signing = signing
        self._context = context
        self._config = config
        self._workers = workers
        parts = urlsplit(signing.endpoint)
        base_path = f"{parts.path.rstrip('/')}/{quote_path(signing.bucket)}"
        self.route = self._route_to(Target(f"{parts.scheme}://{parts.netloc}", base_path))
        self._left: list[Route] = []
        self._signer = Signer(signing.region)
        self._trusted: Credentials | None = None
        self._clock_offset = 0.0

    async def close(self) -> None:
        """Close the connections and end the threads."""
        for route in (*self._left, self.route):
            await route.close()

    async def request(
        self,
        head: RequestHead,
        read: Callable[[Request, Response], T],
        body: Body = EMPTY,
        exchange: Callable[[Route, bytes, Body], Awaitable[Response]] = Route.exchange,
    ) -> T:
        """Make a request and return what `read` reads from its response.

        `exchange` is how it is sent along a route.

        Raises:
            StoreError: any response but success, or none.
            CannotServeError: the store names another region to sign for.
        """
        credentials = await self._signing.credentials()
        for _ in range(MAX_HOPS):
            route = self.route
            request = self.describe(head.operation, head.key, body.size, credentials, head.source)
            try:
                response = await exchange(route, self._sign(head, route, credentials, body), body)
            except (OSError, MemoryError) as error:
                raise error_from_os(request, error) from error
            if response.status not in REDIRECTS:
                break
            self._follow(route, request, response)
        else:
            raise results.bad_response(request, response, f"{MAX_HOPS} redirects")
        refusal = results.error_of(request, response)
        if refusal is None:
            result = read(request, response)
            self._trusted = credentials
            return result
        if refusal.s3_code in _OF_ANOTHER_REGION:
            raise CannotServeError(refusal.s3_code)
        if await self._recovered(refusal, response, credentials):
            refusal.retryable, refusal.fatal = True, False
        raise refusal

    async def download(self, head: RequestHead, wanted: Range) -> AsyncGenerator[bytes]:
        """Make a request for what is wanted of an object, and yield the blocks of its body.

        Closed before its end, it closes the connection.

        Raises:
            StoreError: as `request`; and the body is not what status and headers announce, or a
                block of it does not come in time.
            CannotServeError: as `request`.
        """
        opened: list[Download] = []

        async def exchange(route: Route, signed: bytes, _body: Body) -> Response:
            opened.append(await route.download(signed))
            return opened[-1].response

        try:
            announced = await self.request(head, wanted.announced, EMPTY, exchange)
            request = self.describe(head.operation, head.key, 0, self._trusted)
            response, received = opened[-1].response, 0
            while block := await _read(request, opened[-1]):
                received += len(block)
                check_received(request, response, received, announced, ended=False)
                yield block
            check_received(request, response, received, announced, ended=True)
        finally:
            for download in opened:
                download.close()

    def describe(
        self,
        operation: str,
        key: str,
        size: int = 0,
        credentials: Credentials | None = None,
        source: str = "",
    ) -> Request:
        """Return a request as messages name it."""
        return Request(
            operation,
            key,
            self._signing.bucket,
            self._signing.endpoint,
            size,
            foreign_secret=credentials is not None and is_foreign_secret(credentials.secret_key),
            trusted=credentials is not None and credentials == self._trusted,
            source=source,
        )

    def _follow(self, route: Route, request: Request, response: Response) -> None:
        """Send later requests where a redirect points; raises StoreError if it is not followed."""
        location = response.header(b"location")
        if region := response.header(b"x-amz-bucket-region"):
            raise CannotServeError(f"x-amz-bucket-region = {region}")
        code = results.error_code(response)
        if not location and code in _OF_ANOTHER_REGION:
            raise CannotServeError(code)
        key_path = f"/{quote_path(request.key)}" if request.key else ""
        target = follow(request, route.target, key_path, location, status=response.status)
        if self.route is route:
            self._left.append(route)
            self.route = self._route_to(target)

    async def _recovered(
        self, error: StoreError, response: Response, credentials: Credentials
    ) -> bool:
        """Whether what the store refused can be put right here, for the next attempt."""
        if error.code == "store.expired_token":
            return await self._signing.renew(credentials)
        if error.code != "store.clock_skew":
            return False
        at = http_time(response.header(b"date"))
        if at is None or abs(at - time.time() - self._clock_offset) < _SKEW_SECONDS:
            return False
        self._clock_offset = at - time.time()
        return True

    def _route_to(self, target: Target) -> Route:
        return Route(target, self._context, self._config, self._workers)

    def _sign(self, head: RequestHead, route: Route, credentials: Credentials, body: Body) -> bytes:
        """Return the signed head of a request, as it is sent along a route."""
        base_path = route.target.base_path
        path = f"{base_path}/{quote_path(head.key)}" if head.key else base_path or "/"
        stamp = self._signer.stamp(time.time() + self._clock_offset)
        headers = head.headers
        headers["host"] = route.authority
        headers["x-amz-content-sha256"] = UNSIGNED_PAYLOAD
        headers["x-amz-date"] = stamp
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        authorization = self._signer.authorization(
            credentials, head.method, path, head.query, headers, UNSIGNED_PAYLOAD, stamp
        )
        target = f"{path}?{head.query}" if head.query else path
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        return (
            f"{head.method} {target} HTTP/1.1\r\n{lines}authorization: {authorization}\r\n"
            f"content-length: {body.size}\r\nuser-agent: {_USER_AGENT}\r\n\r\n"
        ).encode("latin-1")


async def _read(request: Request, download: Download) -> bytes:
    try:
        return await download.read()
    except MalformedResponseError as error:
        raise results.bad_response(request, download.response, str(error)) from error
    except TimeoutError as error:
        raise error_from_os(request, TimeoutError("no whole response")) from error
    except (OSError, MemoryError) as error:
        raise error_from_os(request, error) from error
