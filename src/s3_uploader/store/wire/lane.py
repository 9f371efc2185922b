"""The wire lane as an ObjectStore: the calls that carry bytes are its own, the rest aioboto3's."""

import re
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from s3_uploader.config import UploadConfig
from s3_uploader.errors import StoreError
from s3_uploader.events import Lane
from s3_uploader.store.answers import Request, error_from_answer, error_from_os, http_time
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
from s3_uploader.store.wire import listing
from s3_uploader.store.wire.answer import Answer
from s3_uploader.store.wire.dial import Origin
from s3_uploader.store.wire.large import LargeSender
from s3_uploader.store.wire.small import SmallSender

_USER_AGENT = "s3-uploader"
_REDIRECTS = frozenset({301, 302, 307, 308})
_INTERNAL_ERROR = 500
_EMPTY = BytesBody(b"")
_META = b"x-amz-meta-"
_CRC = "x-amz-checksum-crc64nvme"
_FULL = {"x-amz-checksum-type": "FULL_OBJECT"}
_ERROR_DOCUMENT = re.compile(rb"\s*(<\?xml[^>]*>)?\s*<Error>")
_OK = range(200, 300)
_SKEW_SECONDS = 60.0
"""Stores allow minutes; a smaller difference is not what they refused."""


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
class _Message:
    """A request without its body; `headers` are completed when it is signed."""

    operation: str
    method: str
    key: str
    query: str
    headers: dict[str, str]


class WireStore:
    """Sends what an upload needs over its own connections; every other call is aioboto3's.

    The design gave it the two calls that carry bytes. Create, complete and abort are here too, so
    that an upload need not import aioboto3, which costs more than all of them.

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
        self._clock_offset = 0.0

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
        headers = {"content-type": content_type}
        headers.update({f"x-amz-meta-{name}": value for name, value in metadata.items()})
        if isinstance(body, BytesBody) and body.md5:
            headers["content-md5"] = b64encode(bytes.fromhex(body.md5)).decode()
        headers.update(_checksum(body))
        answer = await self._ask(_Message("PutObject", "PUT", key, "", headers), body)
        if answer is not None:
            return _receipt(answer)
        store = await self._control()
        return await store.put_object(key, body, content_type=content_type, metadata=metadata)

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """Store one part."""
        query = canonical_query([("partNumber", str(number)), ("uploadId", upload_id)])
        answer = await self._ask(_Message("UploadPart", "PUT", key, query, _checksum(body)), body)
        if answer is not None:
            return _receipt(answer)
        store = await self._control()
        return await store.upload_part(key, upload_id, number, body)

    async def create_multipart_upload(
        self, key: str, *, content_type: str, metadata: Mapping[str, str], crc64nvme: bool = False
    ) -> str:
        """Return the upload id of a new multipart upload."""
        headers = {"content-type": content_type}
        headers.update({f"x-amz-meta-{name}": value for name, value in metadata.items()})
        if crc64nvme:
            headers.update({"x-amz-checksum-algorithm": "CRC64NVME"} | _FULL)
        message = _Message("CreateMultipartUpload", "POST", key, "uploads=", headers)
        # The parts' connections open while the store makes the upload: far away, a round trip less.
        self._large.open_ahead(self.limits.requests)
        answer = await self._ask(message)
        if answer is not None:
            return answer.text(b"UploadId")
        store = await self._control()
        return await store.create_multipart_upload(
            key, content_type=content_type, metadata=metadata, crc64nvme=crc64nvme
        )

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, crc64nvme: str = ""
    ) -> Receipt:
        """Publish the object."""
        query = canonical_query([("uploadId", upload_id)])
        headers = {"content-type": "application/xml"}
        if crc64nvme:
            headers.update({_CRC: crc64nvme} | _FULL)
        message = _Message("CompleteMultipartUpload", "POST", key, query, headers)
        answer = await self._ask(message, BytesBody(_parts_document(parts)))
        if answer is not None:
            etag = answer.text(b"ETag").strip('"')
            return Receipt(etag, _is_opaque(answer), answer.text(b"ChecksumCRC64NVME"))
        store = await self._control()
        return await store.complete_multipart_upload(key, upload_id, parts, crc64nvme=crc64nvme)

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Discard an upload."""
        self._large.drop_ahead()
        query = canonical_query([("uploadId", upload_id)])
        try:
            answer = await self._ask(_Message("AbortMultipartUpload", "DELETE", key, query, {}))
        except StoreError as error:
            if error.code != "store.no_such_upload":
                raise
            return
        if answer is None:
            await (await self._control()).abort_multipart_upload(key, upload_id)

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Return the parts the store holds."""
        parts: list[StoredPart] = []
        marker = ""
        while True:
            fields = [("part-number-marker", marker)] if marker else []
            query = canonical_query([*fields, ("uploadId", upload_id)])
            answer = await self._ask(_Message("ListParts", "GET", key, query, {}))
            if answer is None:
                return await (await self._control()).list_parts(key, upload_id)
            page = listing.parts(answer.body, self._asked("ListParts", key))
            parts += page.parts
            if not page.next_marker:
                return parts
            if page.next_marker == marker:
                raise listing.unusable(self._asked("ListParts", key))
            marker = page.next_marker

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        """Return the open uploads below `prefix`."""
        uploads: list[UploadInfo] = []
        marker = ("", "")
        while True:
            fields = [("key-marker", marker[0]), ("upload-id-marker", marker[1])]
            query = canonical_query(
                [*[field for field in fields if field[1]], ("prefix", prefix), ("uploads", "")]
            )
            answer = await self._ask(_Message("ListMultipartUploads", "GET", "", query, {}))
            if answer is None:
                return await (await self._control()).list_multipart_uploads(prefix)
            asked = self._asked("ListMultipartUploads", prefix)
            page = listing.uploads(answer.body, asked)
            uploads += page.uploads
            if not page.next_marker[0]:
                return uploads
            if page.next_marker == marker:
                raise listing.unusable(asked)
            marker = page.next_marker

    async def head_object(self, key: str) -> ObjectInfo:
        """Return what the store says of an object."""
        answer = await self._ask(_Message("HeadObject", "HEAD", key, "", {}))
        if answer is not None:
            return ObjectInfo(
                key,
                int(answer.header(b"content-length") or 0),
                answer.header(b"etag").strip('"'),
                {
                    name[len(_META) :].decode("latin-1"): value.decode("latin-1")
                    for name, value in answer.headers.items()
                    if name.startswith(_META)
                },
            )
        return await (await self._control()).head_object(key)

    async def get_object(self, key: str) -> AsyncIterator[bytes]:
        """Yield an object's bytes."""
        store = await self._control()
        async for block in store.get_object(key):
            yield block

    async def delete_object(self, key: str) -> None:
        """Delete an object."""
        await (await self._control()).delete_object(key)

    async def _ask(self, message: _Message, body: Body = _EMPTY) -> Answer | None:
        """Make a request; None where aioboto3 has to take over.

        Raises:
            StoreError: any answer but success, or none.
        """
        if self._aside:
            return None
        credentials = await self._identity.credentials()
        head = self._head(message, credentials, body.size)
        try:
            if isinstance(body, BytesBody):
                answer = await self._small.exchange(head, body.data)
            else:
                answer = await self._large.exchange(head, body)
        except OSError as error:
            request = self._request(message, credentials, body.size)
            raise error_from_os(request, error) from error
        if answer.status in _OK and not _ERROR_DOCUMENT.match(answer.body):
            return answer
        code, reason = answer.text(b"Code"), answer.text(b"Message")
        if answer.status in _REDIRECTS or code == "AuthorizationHeaderMalformed":
            self._aside = True
            return None
        # CompleteMultipartUpload may fail after it has begun to answer 200.
        status = answer.status if answer.status not in _OK else _INTERNAL_ERROR
        request = self._request(message, credentials, body.size)
        refusal = error_from_answer(request, status, code, reason, answer.header(b"retry-after"))
        if await self._mended(refusal, answer, credentials):
            refusal.retryable, refusal.fatal = True, False
        raise refusal

    async def _mended(self, error: StoreError, answer: Answer, credentials: Credentials) -> bool:
        """Whether what the store refused can be put right here, for the next attempt."""
        if error.code == "store.expired_token":
            return await self._identity.renew(credentials)
        if error.code != "store.clock_skew":
            return False
        at = http_time(answer.header(b"date"))
        if at is None or abs(at - time.time() - self._clock_offset) < _SKEW_SECONDS:
            return False
        self._clock_offset = at - time.time()
        return True

    def _request(self, message: _Message, credentials: Credentials, size: int) -> Request:
        rest_key = credentials.secret_key.startswith("rpa_")
        return self._asked(message.operation, message.key, size, rest_key=rest_key)

    def _asked(self, operation: str, key: str, size: int = 0, *, rest_key: bool = False) -> Request:
        return Request(operation, key, self.bucket, self.endpoint, size, rest_key)

    def _head(self, message: _Message, credentials: Credentials, size: int) -> bytes:
        """Return the signed head of a request."""
        path = f"{self._base_path}/{quote_path(message.key)}" if message.key else self._base_path
        stamp = self._signer.stamp(time.time() + self._clock_offset)
        headers = message.headers
        headers["host"] = self._authority
        headers["x-amz-content-sha256"] = UNSIGNED_PAYLOAD
        headers["x-amz-date"] = stamp
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        authorization = self._signer.authorization(
            credentials, message.method, path, message.query, headers, UNSIGNED_PAYLOAD, stamp
        )
        target = f"{path}?{message.query}" if message.query else path
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        return (
            f"{message.method} {target} HTTP/1.1\r\n{lines}authorization: {authorization}\r\n"
            f"content-length: {size}\r\nuser-agent: {_USER_AGENT}\r\n\r\n"
        ).encode("latin-1")


def _checksum(body: Body) -> dict[str, str]:
    return {_CRC: body.crc64nvme} if body.crc64nvme else {}


def _receipt(answer: Answer) -> Receipt:
    etag = answer.header(b"etag").strip('"')
    return Receipt(etag, _is_opaque(answer), answer.header(_CRC.encode()))


def _is_opaque(answer: Answer) -> bool:
    by_kms = answer.headers.get(b"x-amz-server-side-encryption", b"").startswith(b"aws:kms")
    return by_kms or b"x-amz-server-side-encryption-customer-algorithm" in answer.headers


def _parts_document(parts: Sequence[CompletedPart]) -> bytes:
    lines = "".join(
        f"<Part><PartNumber>{part.number}</PartNumber>"
        f"<ETag>{escape(part.etag, quote=False)}</ETag></Part>"
        for part in parts
    )
    return (
        f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{lines}'
        "</CompleteMultipartUpload>"
    ).encode()
