"""A store that serves what it can, and another one for the rest."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, cast

from s3_uploader.checksums import Checksum
from s3_uploader.errors import StoreError
from s3_uploader.events import Lane
from s3_uploader.store.base import ObjectStore
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

T = TypeVar("T")


class CannotServeError(Exception):
    """A lane cannot make this call, nor any later one; `why` names what stands against it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class FallbackStore:
    """Asks `first`, and `second` from the first call on that `first` cannot serve.

    Args:
        first: raises `CannotServeError` for what it cannot serve.
        second: opens the other store, at the first need; gets the reason.
    """

    def __init__(self, first: ObjectStore, second: Callable[[str], Awaitable[ObjectStore]]) -> None:
        self.bucket = first.bucket
        self.endpoint = first.endpoint
        self.region = first.region
        self.provider = first.provider
        self._first = first
        self._second = second
        self._moved: ObjectStore | None = None

    @property
    def lane(self) -> Lane:
        """The lane that carries bodies now."""
        return (self._moved or self._first).lane

    async def put_object(self, key: str, body: Body, options: PutOptions) -> Receipt:
        """As `ObjectStore`."""
        # Written out: a small file's request is worth the coroutine that `_serve` would cost.
        store = self._moved or self._first
        try:
            return await store.put_object(key, body, options)
        except CannotServeError as error:
            store = await self._fall_back(error)
        return await store.put_object(key, body, options)

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        """As `ObjectStore`."""
        return await self._serve(lambda store: store.create_multipart_upload(key, options))

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """As `ObjectStore`."""
        return await self._serve(lambda store: store.upload_part(key, upload_id, number, body))

    async def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        checksum: Checksum | None = None,
    ) -> Receipt:
        """As `ObjectStore`."""
        return await self._serve(
            lambda store: store.complete_multipart_upload(key, upload_id, parts, checksum)
        )

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """As `ObjectStore`."""
        await self._serve(lambda store: store.abort_multipart_upload(key, upload_id))

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """As `ObjectStore`."""
        return await self._serve(lambda store: store.list_parts(key, upload_id))

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        """As `ObjectStore`."""
        return await self._serve(lambda store: store.list_multipart_uploads(prefix))

    async def head_object(self, key: str) -> ObjectInfo:
        """As `ObjectStore`."""
        return await self._serve(lambda store: store.head_object(key))

    def get_object(
        self, key: str, *, offset: int = 0, size: int | None = None, etag: str = ""
    ) -> AsyncIterator[bytes]:
        """As `ObjectStore`."""
        return self._iterate(
            "GetObject",
            key,
            lambda store: store.get_object(key, offset=offset, size=size, etag=etag),
        )

    async def delete_object(self, key: str) -> None:
        """As `ObjectStore`."""
        await self._serve(lambda store: store.delete_object(key))

    async def copy_object(self, source_key: str, key: str, *, etag: str = "") -> Receipt:
        """As `ObjectStore`."""
        return await self._serve(lambda store: store.copy_object(source_key, key, etag=etag))

    def list_objects(
        self, prefix: str, *, start_after: str = "", delimiter: str = ""
    ) -> AsyncIterator[ListedPage]:
        """As `ObjectStore`."""
        return self._iterate(
            "ListObjectsV2",
            prefix,
            lambda store: store.list_objects(prefix, start_after=start_after, delimiter=delimiter),
        )

    async def _iterate(
        self, operation: str, key: str, call: Callable[[ObjectStore], AsyncIterator[T]]
    ) -> AsyncGenerator[T]:
        begun = False
        try:
            async with _closing(call(self._moved or self._first)) as items:
                async for item in items:
                    begun = True
                    yield item
        except CannotServeError as error:
            store = await self._fall_back(error)
            if begun:
                # What has been yielded already would come again.
                where: dict[str, Any] = {"operation": operation, "key": key, "detail": error.why}
                raise StoreError("store.unexpected", retryable=True, **where) from error
        else:
            return
        async with _closing(call(store)) as items:
            async for item in items:
                yield item

    async def _serve(self, call: Callable[[ObjectStore], Awaitable[T]]) -> T:
        try:
            return await call(self._moved or self._first)
        except CannotServeError as error:
            store = await self._fall_back(error)
        return await call(store)

    async def _fall_back(self, error: CannotServeError) -> ObjectStore:
        self._moved = store = await self._second(error.why)
        return store


def _closing(items: AsyncIterator[T]) -> "aclosing[AsyncGenerator[T]]":
    """Close an iterator together with its consumer: an abandoned body holds a connection."""
    return aclosing(cast("AsyncGenerator[T]", items))
