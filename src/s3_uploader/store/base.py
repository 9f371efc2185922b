"""The protocol every lane implements.

Each call is one attempt: retries, limits and proofs belong to the engine. Every failure is a
`StoreError`, except what a body raises while it is read, which passes through unchanged.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from s3_uploader.checksums import Checksum
from s3_uploader.events import Lane
from s3_uploader.providers import Provider
from s3_uploader.store.body import Body
from s3_uploader.store.options import PutOptions
from s3_uploader.store.values import (
    CompletedPart,
    ListedPage,
    ObjectInfo,
    Receipt,
    StoredPart,
    UploadInfo,
)


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
