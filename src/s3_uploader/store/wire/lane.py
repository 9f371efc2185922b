"""The wire lane as an ObjectStore: the calls that carry bytes are its own, the rest aioboto3's."""

import base64
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from s3_uploader.config import UploadConfig
from s3_uploader.errors import StoreError
from s3_uploader.events import Lane
from s3_uploader.store.answers import Request, error_from_answer, error_from_os
from s3_uploader.store.base import (
    Body,
    BytesBody,
    CompletedPart,
    ObjectInfo,
    ObjectStore,
    Receipt,
    StoredPart,
    UploadInfo,
)
from s3_uploader.store.sigv4 import (
    UNSIGNED_PAYLOAD,
    Credentials,
    Signer,
    canonical_query,
    quote_path,
)
from s3_uploader.store.wire.answer import Answer
from s3_uploader.store.wire.dial import Origin
from s3_uploader.store.wire.large import LargeSender
from s3_uploader.store.wire.small import SmallSender

_USER_AGENT = "s3-uploader"
_REDIRECTS = frozenset({301, 302, 307, 308})
_OK = range(200, 300)


@dataclass(frozen=True, slots=True)
class Identity:
    """For which bucket requests are signed, and by whom; credentials may change over time."""

    bucket: str
    endpoint: str
    region: str
    credentials: Callable[[], Awaitable[Credentials]]


class WireStore:
    """Sends bodies over its own connections; every other call is aioboto3's.

    It steps aside where it cannot serve: a redirect, or a region the store corrects, hands this
    and every later body to aioboto3, which knows how to follow.

    Args:
        identity: bucket, endpoint, region, credentials.
        context: TLS, None for plain http.
        config: settings.
        control: opens the boto lane.
    """

    def __init__(
        self,
        identity: Identity,
        context: ssl.SSLContext | None,
        config: UploadConfig,
        control: Callable[[], Awaitable[ObjectStore]],
    ) -> None:
        self.bucket = identity.bucket
        self.endpoint = identity.endpoint
        self.region = identity.region
        self.limits = config.limits(self.endpoint)
        origin = Origin.of(self.endpoint, context, config.connect_timeout)
        timeouts = (config.stall_timeout, config.response_timeout)
        self._small = SmallSender(origin, *timeouts)
        self._large = LargeSender(origin, self.limits.max_requests, *timeouts)
        self._authority = origin.authority
        self._base_path = f"{urlsplit(self.endpoint).path.rstrip('/')}/{quote_path(self.bucket)}"
        self._signer = Signer(self.region)
        self._identity = identity
        self._control = control
        self._aside = False

    @property
    def lane(self) -> Lane:
        """The lane that carries bodies now."""
        return "boto" if self._aside else "wire"

    async def close(self) -> None:
        """Close the connections and end the threads."""
        self._small.close()
        await self._large.close()

    async def put_object(
        self, key: str, body: Body, *, content_type: str, metadata: Mapping[str, str]
    ) -> Receipt:
        """Store `body` with one request; a body in memory also carries Content-MD5."""
        if not self._aside:
            headers = {"content-type": content_type}
            headers.update({f"x-amz-meta-{name}": value for name, value in metadata.items()})
            receipt = await self._put("PutObject", key, "", body, headers)
            if receipt is not None:
                return receipt
        store = await self._control()
        return await store.put_object(key, body, content_type=content_type, metadata=metadata)

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """Store one part."""
        if not self._aside:
            query = canonical_query([("partNumber", str(number)), ("uploadId", upload_id)])
            receipt = await self._put("UploadPart", key, query, body, {})
            if receipt is not None:
                return receipt
        store = await self._control()
        return await store.upload_part(key, upload_id, number, body)

    async def create_multipart_upload(
        self, key: str, *, content_type: str, metadata: Mapping[str, str]
    ) -> str:
        """Return the upload id of a new multipart upload."""
        store = await self._control()
        return await store.create_multipart_upload(
            key, content_type=content_type, metadata=metadata
        )

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart]
    ) -> Receipt:
        """Publish the object."""
        return await (await self._control()).complete_multipart_upload(key, upload_id, parts)

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Discard an upload."""
        await (await self._control()).abort_multipart_upload(key, upload_id)

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Return the parts the store holds."""
        return await (await self._control()).list_parts(key, upload_id)

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        """Return the open uploads below `prefix`."""
        return await (await self._control()).list_multipart_uploads(prefix)

    async def head_object(self, key: str) -> ObjectInfo:
        """Return what the store says of an object."""
        return await (await self._control()).head_object(key)

    async def get_object(self, key: str) -> AsyncIterator[bytes]:
        """Yield an object's bytes."""
        store = await self._control()
        async for block in store.get_object(key):
            yield block

    async def delete_object(self, key: str) -> None:
        """Delete an object."""
        await (await self._control()).delete_object(key)

    async def _put(
        self, operation: str, key: str, query: str, body: Body, headers: dict[str, str]
    ) -> Receipt | None:
        """Send a PUT; None where aioboto3 has to take over."""
        if isinstance(body, BytesBody) and body.md5:
            headers["content-md5"] = base64.b64encode(bytes.fromhex(body.md5)).decode()
        credentials = await self._identity.credentials()
        head = self._head(credentials, key, query, body.size, headers)
        try:
            if isinstance(body, BytesBody):
                answer = await self._small.exchange(head, body.data)
            else:
                answer = await self._large.exchange(head, body)
        except OSError as error:
            request = self._request(operation, key, body.size, credentials)
            raise error_from_os(request, error) from error
        if answer.status in _OK:
            return Receipt(answer.header(b"etag").strip('"'), _is_opaque(answer))
        if self._must_step_aside(answer):
            self._aside = True
            return None
        raise _error(self._request(operation, key, body.size, credentials), answer)

    def _request(self, operation: str, key: str, size: int, credentials: Credentials) -> Request:
        rest_key = credentials.secret_key.startswith("rpa_")
        return Request(operation, key, self.bucket, self.endpoint, size, rest_key)

    def _must_step_aside(self, answer: Answer) -> bool:
        malformed = "AuthorizationHeaderMalformed"
        return answer.status in _REDIRECTS or answer.s3_error()[0] == malformed

    def _head(
        self,
        credentials: Credentials,
        key: str,
        query: str,
        size: int,
        headers: dict[str, str],
    ) -> bytes:
        """Return the signed head of a PUT."""
        path = f"{self._base_path}/{quote_path(key)}"
        stamp = self._signer.stamp(time.time())
        headers["host"] = self._authority
        headers["x-amz-content-sha256"] = UNSIGNED_PAYLOAD
        headers["x-amz-date"] = stamp
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        authorization = self._signer.authorization(
            credentials, "PUT", path, query, headers, UNSIGNED_PAYLOAD, stamp
        )
        target = f"{path}?{query}" if query else path
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        return (
            f"PUT {target} HTTP/1.1\r\n{lines}authorization: {authorization}\r\n"
            f"content-length: {size}\r\nuser-agent: {_USER_AGENT}\r\n\r\n"
        ).encode("latin-1")


def _is_opaque(answer: Answer) -> bool:
    by_kms = answer.headers.get(b"x-amz-server-side-encryption", b"").startswith(b"aws:kms")
    return by_kms or b"x-amz-server-side-encryption-customer-algorithm" in answer.headers


def _error(request: Request, answer: Answer) -> StoreError:
    code, message = answer.s3_error()
    return error_from_answer(request, answer.status, code, message)
