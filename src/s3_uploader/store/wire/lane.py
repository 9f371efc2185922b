"""The wire lane as an ObjectStore: requests over our own connections, signed here."""

import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from s3_uploader.checksums import ALGORITHMS, Checksum
from s3_uploader.checksums.md5 import content_md5
from s3_uploader.config import UploadConfig
from s3_uploader.errors import StoreError
from s3_uploader.events import Lane
from s3_uploader.providers import is_foreign_secret
from s3_uploader.store import results
from s3_uploader.store.base import (
    Body,
    BytesBody,
    CompletedPart,
    ObjectInfo,
    Receipt,
    StoredPart,
    UploadInfo,
)
from s3_uploader.store.document import parts_document
from s3_uploader.store.errors import Request, error_from_os, http_time
from s3_uploader.store.fallback import CannotServeError
from s3_uploader.store.options import FULL_OBJECT, PutOptions
from s3_uploader.store.pages import PartsPage, UploadsPage, all_items
from s3_uploader.store.redirects import MAX_HOPS, REDIRECTS, Target, follow
from s3_uploader.store.response import Response
from s3_uploader.store.sigv4 import (
    UNSIGNED_PAYLOAD,
    Credentials,
    Signer,
    canonical_query,
    quote_path,
)
from s3_uploader.store.wire.route import Route
from s3_uploader.version import __version__

T = TypeVar("T")

_USER_AGENT = f"s3up/{__version__}"
_EMPTY = BytesBody(b"")
_SKEW_SECONDS = 60.0
"""Stores allow minutes; a smaller difference is not what they refused."""

_OF_ANOTHER_REGION = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect"})
"""Codes of a store that wants requests signed for, or sent to, another region."""


@dataclass(frozen=True, slots=True)
class Identity:
    """For which bucket requests are signed, and by whom; credentials may change over time.

    `renew` is called with credentials that have expired, and returns whether there are others.
    """

    bucket: str
    endpoint: str
    region: str
    credentials: Callable[[], Awaitable[Credentials]]
    renew: Callable[[Credentials], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _RequestHead:
    """A request without its body; `headers` are completed when it is signed."""

    operation: str
    method: str
    key: str
    query: str
    headers: dict[str, str]


class WireStore:
    """Makes the calls of an upload over its own connections.

    Redirects are followed where S3 means them, and signed anew (`redirects`). A region that the
    store corrects is aioboto3's to follow, and so are reading and deleting objects:
    `CannotServeError`.

    Args:
        identity: bucket, endpoint, region, credentials.
        context: TLS, None for plain http.
        config: settings.
    """

    lane: Lane = "wire"

    def __init__(
        self, identity: Identity, context: ssl.SSLContext | None, config: UploadConfig
    ) -> None:
        self.bucket = identity.bucket
        self.endpoint = identity.endpoint
        self.region = identity.region
        self.provider = config.provider_at(self.endpoint)
        self._context = context
        self._config = config
        parts = urlsplit(self.endpoint)
        base_path = f"{parts.path.rstrip('/')}/{quote_path(self.bucket)}"
        self._route = self._route_to(Target(f"{parts.scheme}://{parts.netloc}", base_path))
        self._left: list[Route] = []
        self._signer = Signer(self.region)
        self._identity = identity
        self._trusted: Credentials | None = None
        self._clock_offset = 0.0

    async def close(self) -> None:
        """Close the connections and end the threads."""
        for route in (*self._left, self._route):
            await route.close()

    async def put_object(self, key: str, body: Body, options: PutOptions) -> Receipt:
        """Store `body` with one request."""
        headers = options.headers()
        headers.update(_digests(body))
        head = _RequestHead("PutObject", "PUT", key, "", headers)
        return await self._request(head, results.receipt, body)

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """Store one part."""
        query = canonical_query([("partNumber", str(number)), ("uploadId", upload_id)])
        head = _RequestHead("UploadPart", "PUT", key, query, _digests(body))
        return await self._request(head, results.receipt, body)

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        """Return the upload id of a new multipart upload."""
        headers = options.headers()
        if options.checksum is not None:
            headers["x-amz-checksum-algorithm"] = options.checksum.s3_name
            headers["x-amz-checksum-type"] = FULL_OBJECT
        head = _RequestHead("CreateMultipartUpload", "POST", key, "uploads=", headers)
        # The parts' connections open while the store makes the upload: far away, a round trip less.
        self._route.large.open_ahead(self.provider.tuning.requests)
        return await self._request(head, results.upload_id)

    async def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        checksum: Checksum | None = None,
    ) -> Receipt:
        """Publish the object."""
        query = canonical_query([("uploadId", upload_id)])
        headers = {"content-type": "application/xml"}
        if checksum is not None:
            headers[ALGORITHMS[checksum.algorithm].header] = checksum.value
            headers["x-amz-checksum-type"] = FULL_OBJECT
        head = _RequestHead("CompleteMultipartUpload", "POST", key, query, headers)
        body = BytesBody(parts_document((part.number, part.etag) for part in parts))
        return await self._request(head, results.completed, body)

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Discard an upload."""
        self._route.large.drop_ahead()
        query = canonical_query([("uploadId", upload_id)])
        head = _RequestHead("AbortMultipartUpload", "DELETE", key, query, {})
        try:
            await self._request(head, results.removed)
        except StoreError as error:
            if error.code != "store.no_such_upload":
                raise

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Return the parts the store holds."""

        async def fetch(marker: int | None) -> PartsPage:
            fields = [] if marker is None else [("part-number-marker", str(marker))]
            query = canonical_query([*fields, ("uploadId", upload_id)])
            head = _RequestHead("ListParts", "GET", key, query, {})
            return await self._request(head, results.parts_page)

        return await all_items(self._describe("ListParts", key), fetch)

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        """Return the open uploads below `prefix`."""
        described = self._describe("ListMultipartUploads", prefix)

        async def fetch(marker: tuple[str, str] | None) -> UploadsPage:
            key, upload_id = marker or ("", "")
            fields = [("key-marker", key), ("upload-id-marker", upload_id)]
            given = [field for field in fields if field[1]]
            query = canonical_query([*given, ("prefix", prefix), ("uploads", "")])
            head = _RequestHead(described.operation, "GET", "", query, {})
            return await self._request(head, results.uploads_page)

        return await all_items(described, fetch)

    async def head_object(self, key: str) -> ObjectInfo:
        """Return what the store says of an object."""
        head = _RequestHead("HeadObject", "HEAD", key, "", {})
        return await self._request(head, results.object_info)

    async def get_object(self, key: str) -> AsyncIterator[bytes]:
        """Raise CannotServeError."""
        del key
        raise CannotServeError(for_good=False)
        yield b""

    async def delete_object(self, key: str) -> None:
        """Raise CannotServeError."""
        del key
        raise CannotServeError(for_good=False)

    async def _request(
        self, head: _RequestHead, read: Callable[[Request, Response], T], body: Body = _EMPTY
    ) -> T:
        """Make a request and return what `read` reads from its response.

        Raises:
            StoreError: any response but success, or none.
            CannotServeError: the store names another region to sign for.
        """
        credentials = await self._identity.credentials()
        for _ in range(MAX_HOPS):
            route = self._route
            request = self._describe(head.operation, head.key, body.size, credentials)
            try:
                response = await route.exchange(self._sign(head, route, credentials, body), body)
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
            raise CannotServeError(for_good=True)
        if await self._recovered(refusal, response, credentials):
            refusal.retryable, refusal.fatal = True, False
        raise refusal

    def _follow(self, route: Route, request: Request, response: Response) -> None:
        """Send later requests where a redirect points; raises StoreError if it is not followed."""
        location = response.header(b"location")
        elsewhere = not location and results.error_code(response) in _OF_ANOTHER_REGION
        if elsewhere or response.header(b"x-amz-bucket-region"):
            raise CannotServeError(for_good=True)
        key_path = f"/{quote_path(request.key)}" if request.key else ""
        target = follow(request, route.target, key_path, location, status=response.status)
        if self._route is route:
            self._left.append(route)
            self._route = self._route_to(target)

    async def _recovered(
        self, error: StoreError, response: Response, credentials: Credentials
    ) -> bool:
        """Whether what the store refused can be put right here, for the next attempt."""
        if error.code == "store.expired_token":
            return await self._identity.renew(credentials)
        if error.code != "store.clock_skew":
            return False
        at = http_time(response.header(b"date"))
        if at is None or abs(at - time.time() - self._clock_offset) < _SKEW_SECONDS:
            return False
        self._clock_offset = at - time.time()
        return True

    def _route_to(self, target: Target) -> Route:
        return Route(target, self._context, self._config, self.provider.tuning.max_requests)

    def _describe(
        self, operation: str, key: str, size: int = 0, credentials: Credentials | None = None
    ) -> Request:
        return Request(
            operation,
            key,
            self.bucket,
            self.endpoint,
            size,
            foreign_secret=credentials is not None and is_foreign_secret(credentials.secret_key),
            trusted=credentials is not None and credentials == self._trusted,
        )

    def _sign(
        self, head: _RequestHead, route: Route, credentials: Credentials, body: Body
    ) -> bytes:
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


def _digests(body: Body) -> dict[str, str]:
    headers = {}
    if body.content_md5:
        headers["content-md5"] = content_md5(body.content_md5)
    if body.checksum is not None:
        headers[ALGORITHMS[body.checksum.algorithm].header] = body.checksum.value
    return headers
