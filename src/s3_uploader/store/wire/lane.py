"""The wire lane as an ObjectStore: requests over our own connections, signed here."""

import ssl
from collections.abc import AsyncIterator, Sequence
from functools import partial

from s3_uploader.checksums import ALGORITHMS, Checksum
from s3_uploader.checksums.md5 import content_md5
from s3_uploader.config import UploadConfig
from s3_uploader.errors import StoreError
from s3_uploader.events import Lane
from s3_uploader.store import results
from s3_uploader.store.body import Body, BytesBody
from s3_uploader.store.document import parts_document
from s3_uploader.store.options import PutOptions
from s3_uploader.store.pages import ObjectsPage, PartsPage, UploadsPage, all_items, all_pages
from s3_uploader.store.ranges import Range
from s3_uploader.store.sigv4 import canonical_query, quote_path
from s3_uploader.store.values import (
    CompletedPart,
    ListedPage,
    ObjectInfo,
    Receipt,
    StoredPart,
    UploadInfo,
)
from s3_uploader.store.wire.requester import Requester, RequestHead, SigningContext


class WireStore:
    """Makes every call over its own connections.

    A region that the store corrects is aioboto3's to follow: `CannotServeError`.

    Args:
        signing: bucket, endpoint, region, credentials.
        context: TLS, None for plain http.
        config: settings.
    """

    lane: Lane = "wire"

    def __init__(
        self, signing: SigningContext, context: ssl.SSLContext | None, config: UploadConfig
    ) -> None:
        self.bucket = signing.bucket
        self.endpoint = signing.endpoint
        self.region = signing.region
        self.provider = config.provider_at(self.endpoint)
        max_requests = self.provider.tuning.max_requests
        self._requests = Requester(signing, context, config, max_requests)

    async def close(self) -> None:
        """Close the connections and end the threads."""
        await self._requests.close()

    async def put_object(self, key: str, body: Body, options: PutOptions) -> Receipt:
        """Store `body` with one request."""
        headers = options.headers()
        headers.update(_digests(body))
        head = RequestHead("PutObject", "PUT", key, "", headers)
        return await self._requests.request(head, results.receipt, body)

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """Store one part."""
        query = canonical_query([("partNumber", str(number)), ("uploadId", upload_id)])
        head = RequestHead("UploadPart", "PUT", key, query, _digests(body))
        return await self._requests.request(head, results.receipt, body)

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        """Return the upload id of a new multipart upload."""
        headers = options.headers()
        if options.checksum is not None:
            headers["x-amz-checksum-algorithm"] = options.checksum.s3_name
            headers["x-amz-checksum-type"] = options.checksum.s3_type
        head = RequestHead("CreateMultipartUpload", "POST", key, "uploads=", headers)
        # The parts' connections open while the store makes the upload: far away, a round trip less.
        self._requests.route.large.preconnect(self.provider.tuning.requests)
        return await self._requests.request(head, results.upload_id)

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
            algorithm = ALGORITHMS[checksum.algorithm]
            headers[algorithm.header] = checksum.value
            headers["x-amz-checksum-type"] = algorithm.s3_type
        head = RequestHead("CompleteMultipartUpload", "POST", key, query, headers)
        body = BytesBody(parts_document((part.number, part.etag) for part in parts))
        return await self._requests.request(head, results.completed, body)

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Discard an upload."""
        self._requests.route.large.cancel_preconnects()
        query = canonical_query([("uploadId", upload_id)])
        head = RequestHead("AbortMultipartUpload", "DELETE", key, query, {})
        try:
            await self._requests.request(head, results.removed)
        except StoreError as error:
            if error.code != "store.no_such_upload":
                raise

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Return the parts the store holds."""

        async def fetch(marker: int | None) -> PartsPage:
            fields = [] if marker is None else [("part-number-marker", str(marker))]
            query = canonical_query([*fields, ("uploadId", upload_id)])
            head = RequestHead("ListParts", "GET", key, query, {})
            return await self._requests.request(head, results.parts_page)

        return await all_items(self._requests.describe("ListParts", key), fetch)

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        """Return the open uploads below `prefix`."""
        described = self._requests.describe("ListMultipartUploads", prefix)

        async def fetch(marker: tuple[str, str] | None) -> UploadsPage:
            key, upload_id = marker or ("", "")
            fields = [("key-marker", key), ("upload-id-marker", upload_id)]
            given = [field for field in fields if field[1]]
            query = canonical_query([*given, ("prefix", prefix), ("uploads", "")])
            head = RequestHead(described.operation, "GET", "", query, {})
            return await self._requests.request(head, results.uploads_page)

        return await all_items(described, fetch)

    async def head_object(self, key: str) -> ObjectInfo:
        """Return what the store says of an object."""
        head = RequestHead("HeadObject", "HEAD", key, "", {})
        return await self._requests.request(head, results.object_info)

    def get_object(
        self, key: str, *, offset: int = 0, size: int | None = None, etag: str = ""
    ) -> AsyncIterator[bytes]:
        """Yield an object's bytes, or a range of them."""
        wanted = Range(offset, size, etag)
        fields = {"range": wanted.header, "if-match": wanted.if_match}
        headers = {name: value for name, value in fields.items() if value}
        return self._requests.download(RequestHead("GetObject", "GET", key, "", headers), wanted)

    async def delete_object(self, key: str) -> None:
        """Delete an object."""
        head = RequestHead("DeleteObject", "DELETE", key, "", {})
        try:
            await self._requests.request(head, results.removed)
        except StoreError as error:
            # Google's store returns it for a key that is gone.
            if error.s3_code != "NoSuchKey":
                raise

    async def copy_object(self, source_key: str, key: str, *, etag: str = "") -> Receipt:
        """Store a copy of an object."""
        headers = {"x-amz-copy-source": f"/{quote_path(self.bucket)}/{quote_path(source_key)}"}
        if etag:
            headers["x-amz-copy-source-if-match"] = f'"{etag}"'
        head = RequestHead("CopyObject", "PUT", key, "", headers, source_key)
        return await self._requests.request(head, results.copied)

    def list_objects(
        self, prefix: str, *, start_after: str = "", delimiter: str = ""
    ) -> AsyncIterator[ListedPage]:
        """Yield the objects below `prefix`, a page at a time."""
        fields = [("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix)]
        fields += [("delimiter", delimiter)] if delimiter else []
        first = [("start-after", start_after)] if start_after else []

        async def fetch(token: str | None) -> ObjectsPage:
            place = first if token is None else [("continuation-token", token)]
            query = canonical_query([*fields, *place])
            head = RequestHead("ListObjectsV2", "GET", "", query, {})
            return await self._requests.request(head, partial(results.objects_page, prefix=prefix))

        return all_pages(self._requests.describe("ListObjectsV2", prefix), fetch)


def _digests(body: Body) -> dict[str, str]:
    headers = {}
    if body.content_md5:
        headers["content-md5"] = content_md5(body.content_md5)
    if body.checksum is not None:
        headers[ALGORITHMS[body.checksum.algorithm].header] = body.checksum.value
    return headers
