"""The reference lane: every call through the aioboto3 client, one attempt each.

Only low-level calls are used; aioboto3's own `upload_file` hangs when a part fails for good, goes
on sending after a cancellation, and does not size parts for the store's part limit. What a response
means is read from the response itself, by the same functions as in the wire lane.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from anyio import create_task_group

from s3_uploader.checksums import Checksum
from s3_uploader.config import UploadConfig
from s3_uploader.errors import StoreError
from s3_uploader.events import Lane
from s3_uploader.profile import Profile
from s3_uploader.providers import Provider, is_foreign_secret
from s3_uploader.store import results
from s3_uploader.store.body import Body, BytesBody
from s3_uploader.store.boto.errors import RESPONSE, translated
from s3_uploader.store.boto.fields import digests, given, whole_checksum
from s3_uploader.store.boto.payload import Payload
from s3_uploader.store.boto.reading import ObjectReader
from s3_uploader.store.errors import Request, error_from_os
from s3_uploader.store.options import PutOptions
from s3_uploader.store.pages import ObjectsPage, PartsPage, UploadsPage, all_items, all_pages
from s3_uploader.store.ranges import Range
from s3_uploader.store.response import Response
from s3_uploader.store.values import (
    CompletedPart,
    ListedPage,
    ObjectInfo,
    Receipt,
    StoredPart,
    UploadInfo,
)

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

T = TypeVar("T")


class BotoStore:
    """One bucket through an open aioboto3 client.

    Attributes:
        credentials: what aioboto3 signs with, None for nothing.
        tls: what its connections trust.
    """

    lane: Lane = "boto"

    def __init__(
        self,
        client: "S3Client",
        profile: Profile,
        config: UploadConfig,
        credentials: Any,
        tls: ssl.SSLContext,
    ) -> None:
        self.credentials = credentials
        self.tls = tls
        # Its methods are typed by what botocore makes of a response, which is not used.
        self._client: Any = client
        self._stall_timeout = config.stall_timeout
        self._response_timeout = config.response_timeout
        self._request_timeout = (
            config.connect_timeout + config.stall_timeout + config.response_timeout
        )
        self._foreign_secret = is_foreign_secret(profile.secret_key)
        self._trusted = False
        self.bucket = profile.bucket
        self.endpoint = client.meta.endpoint_url
        self.region = client.meta.region_name
        self.provider: Provider = config.provider_at(self.endpoint)

    async def put_object(self, key: str, body: Body, options: PutOptions) -> Receipt:
        """Store `body` with one request."""

        def call(payload: Any) -> Awaitable[Any]:
            return cast(
                "Awaitable[Any]",
                self._client.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=payload,
                    ContentLength=body.size,
                    ContentType=options.content_type,
                    Metadata=options.metadata,
                    **digests(body),
                ),
            )

        return await self._send("PutObject", key, body, call)

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        """Return the upload id of a new multipart upload."""
        extra: dict[str, Any] = {}
        if options.checksum is not None:
            extra["ChecksumAlgorithm"] = options.checksum.s3_name
            extra["ChecksumType"] = options.checksum.s3_type
        return await self._ask(
            self._request("CreateMultipartUpload", key),
            results.upload_id,
            self._client.create_multipart_upload,
            Key=key,
            ContentType=options.content_type,
            Metadata=options.metadata,
            **extra,
        )

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """Store one part."""

        def call(payload: Any) -> Awaitable[Any]:
            return cast(
                "Awaitable[Any]",
                self._client.upload_part(
                    Bucket=self.bucket,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=payload,
                    ContentLength=body.size,
                    **digests(body),
                ),
            )

        return await self._send("UploadPart", key, body, call)

    async def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        checksum: Checksum | None = None,
    ) -> Receipt:
        """Publish the object."""
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        return await self._ask(
            self._request("CompleteMultipartUpload", key),
            results.completed,
            self._client.complete_multipart_upload,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": listed},
            **whole_checksum(checksum),
        )

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Discard an upload."""
        request = self._request("AbortMultipartUpload", key)
        call = self._client.abort_multipart_upload
        try:
            await self._ask(request, results.removed, call, Key=key, UploadId=upload_id)
        except StoreError as error:
            if error.code != "store.no_such_upload":
                raise

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Return the parts the store holds."""
        request = self._request("ListParts", key)

        async def fetch(marker: int | None) -> PartsPage:
            after = {} if marker is None else {"PartNumberMarker": marker}
            call = self._client.list_parts
            return await self._ask(
                request, results.parts_page, call, Key=key, UploadId=upload_id, **after
            )

        return await all_items(request, fetch)

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        """Return the open uploads below `prefix`."""
        request = self._request("ListMultipartUploads", prefix)

        async def fetch(marker: tuple[str, str] | None) -> UploadsPage:
            key, upload_id = marker or ("", "")
            after = given(KeyMarker=key, UploadIdMarker=upload_id)
            call = self._client.list_multipart_uploads
            # Keys as they are, as in the wire lane: botocore would ask for them percent-encoded.
            return await self._ask(request, results.uploads_page, call, Prefix=prefix, **after)

        return await all_items(request, fetch)

    async def head_object(self, key: str) -> ObjectInfo:
        """Return what the store says of an object."""
        request = self._request("HeadObject", key)
        return await self._ask(request, results.object_info, self._client.head_object, Key=key)

    async def get_object(
        self, key: str, *, offset: int = 0, size: int | None = None, etag: str = ""
    ) -> AsyncIterator[bytes]:
        """Yield an object's bytes, or a range of them."""
        request = self._request("GetObject", key)
        wanted = Range(offset, size, etag)
        fields = given(Range=wanted.header, IfMatch=wanted.if_match)
        with translated(request):
            async with asyncio.timeout(self._request_timeout):
                result = await self._client.get_object(Bucket=self.bucket, Key=key, **fields)
            async with result["Body"]:
                reader = ObjectReader(request, wanted, result, self._response_timeout)
                self._trusted = True
                while block := await reader.read():
                    yield block

    async def delete_object(self, key: str) -> None:
        """Delete an object."""
        request = self._request("DeleteObject", key)
        try:
            await self._ask(request, results.removed, self._client.delete_object, Key=key)
        except StoreError as error:
            # Google's store returns it for a key that is gone.
            if error.s3_code != "NoSuchKey":
                raise

    async def copy_object(self, source_key: str, key: str, *, etag: str = "") -> Receipt:
        """Store a copy of an object."""
        return await self._ask(
            self._request("CopyObject", key)._replace(source=source_key),
            results.copied,
            self._client.copy_object,
            Key=key,
            CopySource={"Bucket": self.bucket, "Key": source_key},
            **given(CopySourceIfMatch=etag and f'"{etag}"'),
        )

    def list_objects(
        self, prefix: str, *, start_after: str = "", delimiter: str = ""
    ) -> AsyncIterator[ListedPage]:
        """Yield the objects below `prefix`, a page at a time."""
        request = self._request("ListObjectsV2", prefix)
        fields = {"EncodingType": "url"} | given(Prefix=prefix, Delimiter=delimiter)
        first = given(StartAfter=start_after)
        read = partial(results.objects_page, prefix=prefix)

        async def fetch(token: str | None) -> ObjectsPage:
            place = first if token is None else {"ContinuationToken": token}
            return await self._ask(request, read, self._client.list_objects_v2, **fields, **place)

        return all_pages(request, fetch)

    def _request(self, operation: str, key: str, size: int = 0) -> Request:
        return Request(
            operation,
            key,
            self.bucket,
            self.endpoint,
            size,
            foreign_secret=self._foreign_secret,
            trusted=self._trusted,
        )

    async def _ask(
        self,
        request: Request,
        read: Callable[[Request, Response], T],
        call: Callable[..., Awaitable[Any]],
        **fields: Any,
    ) -> T:
        """Make a call whose body is in memory, within one deadline for all of it."""
        with translated(request):
            async with asyncio.timeout(self._request_timeout):
                result = await call(Bucket=self.bucket, **fields)
        return self._read(request, read, result)

    def _read(
        self, request: Request, read: Callable[[Request, Response], T], returned: Mapping[str, Any]
    ) -> T:
        response: Response = returned[RESPONSE]
        refusal = results.error_of(request, response)
        if refusal is not None:
            raise refusal
        result = read(request, response)
        self._trusted = True
        return result

    async def _send(self, operation: str, key: str, body: Body, call: Any) -> Receipt:
        """Make a call that carries a body, ended when no byte moves for the stall timeout."""
        request = self._request(operation, key, body.size)
        if isinstance(body, BytesBody):
            return await self._ask(request, results.receipt, lambda **_: call(body.data))
        returned: list[Any] = []
        failures: list[StoreError] = []
        payload = Payload(body, self._stall_timeout, self._response_timeout)
        with closing(payload):
            async with create_task_group() as tasks:
                payload.watch = tasks.cancel_scope
                tasks.start_soon(payload.pump)
                try:
                    with translated(request):
                        returned.append(await call(payload))
                except StoreError as error:
                    failures.append(error)
                    tasks.cancel_scope.cancel()
        # aiohttp wraps whatever a body raises; the body's own error is the cause.
        for cause in (payload.error, *failures):
            if cause is not None:
                raise cause
        if not returned:
            raise error_from_os(request, TimeoutError("no byte moved"))
        return self._read(request, results.receipt, returned[0])
