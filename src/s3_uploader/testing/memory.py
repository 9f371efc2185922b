"""A store in memory that keeps the S3 rules an uploader depends on."""

import hashlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from s3_uploader.checksums import ALGORITHMS, Checksum
from s3_uploader.errors import StoreError
from s3_uploader.events import Lane
from s3_uploader.providers import GENERIC, Provider
from s3_uploader.store import (
    Body,
    CompletedPart,
    ListedObject,
    ListedPage,
    ObjectInfo,
    Receipt,
    StoredPart,
    UploadInfo,
    error_from_response,
)
from s3_uploader.store.errors import Request
from s3_uploader.store.options import PutOptions

_PAGE = 1_000
"""Objects and prefixes on a page of a listing, as S3 has them."""


@dataclass(slots=True)
class _Object:
    data: bytes
    etag: str
    metadata: Mapping[str, str]
    modified: float = field(default_factory=time.time)


@dataclass(slots=True)
class _Upload:
    key: str
    metadata: Mapping[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)
    initiated: float = field(default_factory=time.time)


class MemoryStore:
    """An `ObjectStore` that holds its objects in `objects`, by key.

    It responds as Amazon S3 does: MD5 and composite ETags, CRC-64/NVME, unknown uploads, parts out
    of order, parts below the minimum size, bodies over the maximum. Give it to
    `Uploader(store=...)`.

    Args:
        bucket: name shown in messages.
        provider: the kind of store it stands for, whose limits it enforces.
    """

    lane: Lane = "memory"
    endpoint = "memory://"
    region = "memory"

    def __init__(self, bucket: str = "memory", provider: Provider = GENERIC) -> None:
        self.bucket = bucket
        self.provider = provider
        self.uploads: dict[str, _Upload] = {}
        self._objects: dict[str, _Object] = {}
        self._ids = itertools.count(1)

    @property
    def objects(self) -> dict[str, bytes]:
        """A copy of the committed objects, by key."""
        return {key: stored.data for key, stored in self._objects.items()}

    async def put_object(self, key: str, body: Body, options: PutOptions) -> Receipt:
        """Store `body`."""
        data = await self._receive("PutObject", key, body)
        self._objects[key] = _Object(data, _md5(data).hexdigest(), dict(options.metadata))
        return Receipt(self._objects[key].etag, checksums=_receipt_checksums(body.checksum))

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        """Return a new upload id."""
        upload_id = f"upload-{next(self._ids)}"
        self.uploads[upload_id] = _Upload(key, dict(options.metadata))
        return upload_id

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """Store one part."""
        data = await self._receive("UploadPart", key, body)
        self._upload("UploadPart", key, upload_id).parts[number] = data
        return Receipt(_md5(data).hexdigest(), checksums=_receipt_checksums(body.checksum))

    async def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        checksum: Checksum | None = None,
    ) -> Receipt:
        """Publish the object if every part is the one that was stored."""
        upload = self._upload("CompleteMultipartUpload", key, upload_id)
        numbers = [part.number for part in parts]
        if not parts or numbers != sorted(set(numbers)):
            raise self._error("CompleteMultipartUpload", key, 400, "InvalidPartOrder")
        for part in parts:
            data = upload.parts.get(part.number)
            if data is None or _md5(data).hexdigest() != part.etag.strip('"'):
                raise self._error("CompleteMultipartUpload", key, 400, "InvalidPart")
            if len(data) < self.provider.limits.min_part and part is not parts[-1]:
                raise self._error("CompleteMultipartUpload", key, 400, "EntityTooSmall")
        digests = b"".join(_md5(upload.parts[number]).digest() for number in numbers)
        etag = f"{_md5(digests).hexdigest()}-{len(parts)}"
        data = b"".join(upload.parts[number] for number in numbers)
        if checksum is not None and _computed_like(data, checksum) != checksum:
            raise self._error("CompleteMultipartUpload", key, 400, "BadDigest")
        self._objects[key] = _Object(data, etag, upload.metadata)
        del self.uploads[upload_id]
        return Receipt(etag, checksums=_receipt_checksums(checksum))

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Discard an upload."""
        del key
        self.uploads.pop(upload_id, None)

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Return the parts held."""
        upload = self._upload("ListParts", key, upload_id)
        return [
            StoredPart(number, _md5(data).hexdigest(), len(data))
            for number, data in sorted(upload.parts.items())
        ]

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        """Return the open uploads below `prefix`."""
        return [
            UploadInfo(upload.key, upload_id, upload.initiated)
            for upload_id, upload in self.uploads.items()
            if upload.key.startswith(prefix)
        ]

    async def head_object(self, key: str) -> ObjectInfo:
        """Return size, ETag and metadata."""
        stored = self._object("HeadObject", key)
        age = time.time() - stored.modified
        return ObjectInfo(key, len(stored.data), stored.etag, stored.metadata, age=age)

    async def get_object(
        self, key: str, *, offset: int = 0, size: int | None = None, etag: str = ""
    ) -> AsyncIterator[bytes]:
        """Yield the bytes, or a range of them."""
        stored = self._version("GetObject", key, etag)
        end = len(stored.data) if size is None else offset + size
        if end > len(stored.data) or (offset and offset >= len(stored.data)):
            raise self._error("GetObject", key, 416, "InvalidRange")
        yield stored.data[offset:end]

    async def delete_object(self, key: str) -> None:
        """Delete an object."""
        self._objects.pop(key, None)

    async def copy_object(self, source_key: str, key: str, *, etag: str = "") -> Receipt:
        """Store a copy of an object, with the MD5 of all of it as its ETag."""
        source = self._version("CopyObject", source_key, etag)
        copy = _Object(source.data, _md5(source.data).hexdigest(), source.metadata)
        self._objects[key] = copy
        return Receipt(copy.etag)

    async def list_objects(
        self, prefix: str, *, start_after: str = "", delimiter: str = ""
    ) -> AsyncIterator[ListedPage]:
        """Yield the objects below `prefix`, in the order of their keys' bytes."""
        entries = list(self._entries(prefix, start_after, delimiter))
        for at in range(0, len(entries) or 1, _PAGE):
            page = entries[at : at + _PAGE]
            yield ListedPage(
                [entry for entry in page if isinstance(entry, ListedObject)],
                [entry for entry in page if isinstance(entry, str)],
            )

    def _entries(
        self, prefix: str, start_after: str, delimiter: str
    ) -> Iterator[ListedObject | str]:
        """Yield the objects of a listing, and the prefixes that others of them share."""
        last = ""
        for key, stored in sorted(self._objects.items(), key=lambda item: item[0].encode()):
            if not key.startswith(prefix) or key.encode() <= start_after.encode():
                continue
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end < 0:
                yield ListedObject(key, len(stored.data), stored.etag, stored.modified)
            elif (shared := key[: end + len(delimiter)]) != last:
                last = shared
                yield shared

    async def _receive(self, operation: str, key: str, body: Body) -> bytes:
        data = b"".join([chunk async for chunk in body.chunks()])
        limits = self.provider.limits
        largest = limits.max_put if operation == "PutObject" else limits.max_part
        if len(data) > largest:
            raise self._error(operation, key, 413, "EntityTooLarge", len(data))
        if body.checksum is not None and _computed_like(data, body.checksum) != body.checksum:
            raise self._error(operation, key, 400, "BadDigest")
        return data

    def _upload(self, operation: str, key: str, upload_id: str) -> _Upload:
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise self._error(operation, key, 404, "NoSuchUpload")
        return upload

    def _object(self, operation: str, key: str) -> _Object:
        if key not in self._objects:
            raise self._error(operation, key, 404, "NoSuchKey")
        return self._objects[key]

    def _version(self, operation: str, key: str, etag: str) -> _Object:
        stored = self._object(operation, key)
        if etag not in {"", stored.etag}:
            raise self._error(operation, key, 412, "PreconditionFailed")
        return stored

    def _error(
        self, operation: str, key: str, status: int, s3_code: str, size: int = 0
    ) -> StoreError:
        request = Request(operation, key, self.bucket, self.endpoint, size)
        return error_from_response(request, status, s3_code, "")


def _receipt_checksums(checksum: Checksum | None) -> tuple[Checksum, ...]:
    return () if checksum is None else (checksum,)


def _computed_like(data: bytes, checksum: Checksum) -> Checksum:
    return ALGORITHMS[checksum.algorithm].of(data)


def _md5(data: bytes) -> "hashlib._Hash":
    return hashlib.md5(data, usedforsecurity=False)
