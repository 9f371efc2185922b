"""The protocol every lane implements, and the values that cross it.

Each call is one attempt: retries, limits and proofs belong to the engine. Every failure is a
`StoreError`, except what a body raises while it is read, which passes through unchanged.
ETags are given without quotes.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from s3_uploader.checksums import Checksum
from s3_uploader.events import Lane
from s3_uploader.providers import Provider
from s3_uploader.store.options import PutOptions


class Body(Protocol):
    """Bytes to send: of known size, and readable from the start as often as needed."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    @property
    def md5(self) -> str:
        """Hex MD5 of the last complete pass, "" if there is none."""
        ...

    @property
    def content_md5(self) -> str:
        """Hex MD5 that the request carries as Content-MD5, known before the pass; "" for none."""
        ...

    @property
    def checksum(self) -> Checksum | None:
        """Checksum that the request carries, None for none."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Start a pass from the first byte."""
        ...

    def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
        """Start a pass in a worker thread: read into `buffer`, yield the part of it filled."""
        ...


class Span(NamedTuple):
    """A piece of an open file: descriptor, offset and size in bytes."""

    descriptor: int
    offset: int
    size: int


@runtime_checkable
class FileBody(Body, Protocol):
    """A body that lies in a file, so that the kernel can send it without a copy through us."""

    def spans(self, buffer: memoryview) -> Iterator[Span]:
        """Start a pass in a worker thread: yield pieces to send before the next is asked for.

        `buffer` is for reading what has to be hashed.
        """
        ...


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body that is in memory already; its hex MD5, "" if unknown, and a checksum to send."""

    data: bytes
    md5: str = ""
    checksum: Checksum | None = None

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    @property
    def content_md5(self) -> str:
        """The same as `md5`: a wrong body is refused before it replaces an object."""
        return self.md5

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the data at once."""
        yield self.data

    def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
        """Yield the data at once."""
        del buffer
        yield memoryview(self.data)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the store says it stored.

    Attributes:
        etag: without quotes; "" only where the response to a Complete does not say it.
        opaque: the response itself says that the ETag is no MD5 (encryption with SSE-KMS or SSE-C).
        checksums: those of what it stored, as far as it names them.
    """

    etag: str
    opaque: bool = False
    checksums: tuple[Checksum, ...] = ()

    def checksum(self, algorithm: str) -> str:
        """Return the checksum of an algorithm, "" if the store did not name it."""
        return next((value for name, value in self.checksums if name == algorithm), "")


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """A part as CompleteMultipartUpload wants it."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part as ListParts shows it; `size` is bytes."""

    number: int
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as HEAD shows it.

    Attributes:
        size: bytes, None if it does not say.
        etag: without quotes, never "".
        metadata: the user's, names in lower case.
        opaque: as in `Receipt`.
        age: seconds since it was last modified, by the store's clock and to the second; None if it
            does not say.
    """

    key: str
    size: int | None
    etag: str
    metadata: Mapping[str, str]
    opaque: bool = False
    age: float | None = None


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """A multipart upload that is neither completed nor aborted.

    `initiated` is seconds since 1970 by the store's clock, 0 if it does not say.
    """

    key: str
    upload_id: str
    initiated: float = 0.0


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object as ListObjectsV2 shows it.

    Attributes:
        size: bytes.
        etag: without quotes, "" if it does not say.
        modified: seconds since 1970 by the store's clock, 0 if it does not say.
    """

    key: str
    size: int
    etag: str = ""
    modified: float = 0.0


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of a listing, usually of 1,000 objects and prefixes together.

    Attributes:
        objects: in the order of the store.
        prefixes: what further keys begin with, up to and with the delimiter, each once; empty
            without a delimiter.
    """

    objects: list[ListedObject]
    prefixes: list[str]


class ObjectStore(Protocol):
    """One bucket of an S3-compatible store."""

    @property
    def bucket(self) -> str:
        """The bucket, on RunPod the volume id."""
        ...

    @property
    def endpoint(self) -> str:
        """The endpoint's URL, for messages."""
        ...

    @property
    def region(self) -> str:
        """The region requests are signed for."""
        ...

    @property
    def provider(self) -> Provider:
        """What kind of store it is, with the settings applied: what it accepts, what suits it."""
        ...

    @property
    def lane(self) -> Lane:
        """Which implementation carries the bytes, for events."""
        ...

    async def put_object(self, key: str, body: Body, options: PutOptions) -> Receipt:
        """Store `body` with one request."""
        ...

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        """Return the upload id of a new multipart upload, never ""."""
        ...

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """Store one part (`number` from 1)."""
        ...

    async def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        checksum: Checksum | None = None,
    ) -> Receipt:
        """Publish the object from `parts`; the ETag is the composite one.

        `checksum` is that of the whole, for an upload created with its algorithm; the store refuses
        to publish another.
        """
        ...

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Discard an upload and its parts; one that is gone already is no error."""
        ...

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Return the parts the store holds of an upload, by number."""
        ...

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        """Return the open uploads whose key begins with `prefix`."""
        ...

    async def head_object(self, key: str) -> ObjectInfo:
        """Return what the store says of an object; StoreError "store.not_found" if absent."""
        ...

    def get_object(
        self, key: str, *, offset: int = 0, size: int | None = None, etag: str = ""
    ) -> AsyncIterator[bytes]:
        """Yield an object's bytes, in blocks of about 1 MiB; closing it early ends the request.

        What is yielded to its end is all that was asked for.

        Args:
            key: object key.
            offset: first byte.
            size: bytes from there, at least 1; the object must have them. None for all.
            etag: the version that is wanted, "" for any.

        Raises:
            StoreError: "store.not_found" if it is absent, "store.precondition" if it has another
                ETag.
        """
        ...

    async def delete_object(self, key: str) -> None:
        """Delete an object; one that is gone already is no error."""
        ...

    async def copy_object(self, source_key: str, key: str, *, etag: str = "") -> Receipt:
        """Store a copy of an object of this bucket, with its metadata, by one request.

        S3 copies 5 GiB at most like this. The ETag of the copy need not be that of the source.

        Args:
            source_key: key of the object to copy.
            key: key of the copy.
            etag: the version of the source that is wanted, "" for any. Not every store compares.

        Raises:
            StoreError: "store.not_found" if the source is absent, "store.precondition" if it has
                another ETag.
        """
        ...

    def list_objects(
        self, prefix: str, *, start_after: str = "", delimiter: str = ""
    ) -> AsyncIterator[ListedPage]:
        """Yield the objects whose key begins with `prefix`, a page at a time, however many.

        S3 lists in the order of the keys' UTF-8 bytes; some stores list in another.

        Args:
            prefix: "" for all.
            start_after: only keys behind this one in the order of the store.
            delimiter: keys that hold it behind the prefix are rolled up into `prefixes`.
        """
        ...
