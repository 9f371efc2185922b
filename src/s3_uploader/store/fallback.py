"""A store that serves what it can, and another one for the rest."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from s3_uploader.checksums import Checksum
from s3_uploader.events import Lane
from s3_uploader.store.base import (
    Body,
    CompletedPart,
    ObjectInfo,
    ObjectStore,
    Receipt,
    StoredPart,
    UploadInfo,
)
from s3_uploader.store.options import PutOptions

T = TypeVar("T")


class CannotServeError(Exception):
    """A lane cannot make this call; with `for_good`, nor any later one that carries bytes."""

    def __init__(self, *, for_good: bool) -> None:
        super().__init__()
        self.for_good = for_good


class FallbackStore:
    """Asks `first`; what it cannot serve, `second` does, and all calls from then on if for good.

    Args:
        first: raises `CannotServeError` for what it cannot serve.
        second: opens the other store, at the first need.
    """

    def __init__(self, first: ObjectStore, second: Callable[[], Awaitable[ObjectStore]]) -> None:
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

    async def get_object(self, key: str) -> AsyncIterator[bytes]:
        """As `ObjectStore`."""
        store = self._moved or self._first
        try:
            async for block in store.get_object(key):
                yield block
        except CannotServeError:
            # Raised before the first block, or nothing would have been wrong with it.
            store = await self._second()
            async for block in store.get_object(key):
                yield block

    async def delete_object(self, key: str) -> None:
        """As `ObjectStore`."""
        await self._serve(lambda store: store.delete_object(key))

    async def _serve(self, call: Callable[[ObjectStore], Awaitable[T]]) -> T:
        try:
            return await call(self._moved or self._first)
        except CannotServeError as error:
            store = await self._fall_back(error)
        return await call(store)

    async def _fall_back(self, error: CannotServeError) -> ObjectStore:
        store = await self._second()
        if error.for_good:
            self._moved = store
        return store
