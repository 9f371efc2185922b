"""The wire lane as an ObjectStore: the calls that carry bytes are its own, the rest aioboto3's."""

import base64
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from s3_uploader.config import UploadConfig
from s3_uploader.errors import StoreError
from s3_uploader.events import Lane
from s3_uploader.profile import Profile
from s3_uploader.store.answers import Request, error_from_answer, error_from_os
from s3_uploader.store.base import Body, BytesBody, Receipt
from s3_uploader.store.boto import BotoStore, is_opaque
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

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

_USER_AGENT = "s3-uploader"
_REDIRECTS = frozenset({301, 302, 307, 308})
_OK = range(200, 300)


class WireStore(BotoStore):
    """Sends bodies over its own connections, and steps aside where it cannot serve.

    A redirect, or a region the store corrects, hands this and every later request to aioboto3,
    which knows how to follow.
    """

    def __init__(
        self,
        client: "S3Client",
        credentials: Any,
        profile: Profile,
        config: UploadConfig,
        ca_file: str,
    ) -> None:
        super().__init__(client, profile, config)
        origin = Origin.of(self.endpoint, ca_file, config.connect_timeout)
        timeouts = (config.stall_timeout, config.response_timeout)
        self._small = SmallSender(origin, *timeouts)
        self._large = LargeSender(origin, self.limits.max_requests, *timeouts)
        self._authority = origin.authority
        self._base_path = f"{urlsplit(self.endpoint).path.rstrip('/')}/{quote_path(self.bucket)}"
        self._signer = Signer(self.region)
        self._provider = credentials
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
        return await super().put_object(key, body, content_type=content_type, metadata=metadata)

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """Store one part."""
        if not self._aside:
            query = canonical_query([("partNumber", str(number)), ("uploadId", upload_id)])
            receipt = await self._put("UploadPart", key, query, body, {})
            if receipt is not None:
                return receipt
        return await super().upload_part(key, upload_id, number, body)

    async def _put(
        self, operation: str, key: str, query: str, body: Body, headers: dict[str, str]
    ) -> Receipt | None:
        """Send a PUT; None where aioboto3 has to take over."""
        request = self._request(operation, key, body.size)
        if isinstance(body, BytesBody) and body.md5:
            headers["content-md5"] = base64.b64encode(bytes.fromhex(body.md5)).decode()
        head = self._head(await self._credentials(), key, query, body.size, headers)
        try:
            if isinstance(body, BytesBody):
                answer = await self._small.exchange(head, body.data)
            else:
                answer = await self._large.exchange(head, body)
        except OSError as error:
            raise error_from_os(request, error) from error
        if answer.status in _OK:
            return Receipt(answer.header(b"etag").strip('"'), is_opaque(_encryption(answer)))
        if self._must_step_aside(answer):
            self._aside = True
            return None
        raise _error(request, answer)

    def _must_step_aside(self, answer: Answer) -> bool:
        malformed = "AuthorizationHeaderMalformed"
        return answer.status in _REDIRECTS or answer.s3_error()[0] == malformed

    async def _credentials(self) -> Credentials:
        frozen = await self._provider.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")

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


def _encryption(answer: Answer) -> dict[str, str]:
    return {
        "ServerSideEncryption": answer.header(b"x-amz-server-side-encryption"),
        "SSECustomerAlgorithm": answer.header(b"x-amz-server-side-encryption-customer-algorithm"),
    }


def _error(request: Request, answer: Answer) -> StoreError:
    code, message = answer.s3_error()
    return error_from_answer(request, answer.status, code, message)
