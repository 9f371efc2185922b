"""A store around any other, with a hook before and after each operation and at each chunk."""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import cast

from s3_uploader.checksums import Checksum
from s3_uploader.events import Lane
from s3_uploader.providers import Limits, Provider, Tuning
from s3_uploader.store import (
    Body,
    BytesBody,
    CompletedPart,
    ListedPage,
    ObjectInfo,
    ObjectStore,
    PutOptions,
    Receipt,
    StoredPart,
    UploadInfo,
    error_from_response,
)
from s3_uploader.store.errors import Request
from s3_uploader.testing.memory import MemoryStore

TINY = Provider(
    name="tiny",
    title="Tiny",
    limits=Limits(min_part=1, max_part=10_000, max_parts=50, max_put=10_000),
    tuning=Tuning(multipart_threshold=2_000, part_size=1_000, requests=4, max_requests=8),
)
"""A store to which a file of a few kilobytes goes in several parts."""


def tiny(**changes: int) -> Provider:
    """Return TINY with other limits, or another tuning."""
    limits = {name: size for name, size in changes.items() if hasattr(TINY.limits, name)}
    tuning = {name: size for name, size in changes.items() if name not in limits}
    return replace(
        TINY, limits=replace(TINY.limits, **limits), tuning=replace(TINY.tuning, **tuning)
    )


@dataclass(frozen=True)
class Moment:
    """A point of an operation: "before" it, at a "chunk" of its body, or "after" it."""

    when: str
    operation: str
    key: str
    part: int = 0


Hook = Callable[[Moment], Awaitable[None]]


async def do_nothing(_moment: Moment) -> None:
    """Do nothing: the default hook."""


class HookedStore:
    """An `ObjectStore` that passes every call on to `inner`, and calls `hook` around it.

    An exception of the hook is raised by the operation; while the hook waits, the operation waits.

    Args:
        inner: the store that serves the calls; default a `MemoryStore` of tiny limits.
        hook: called with each `Moment`.

    Attributes:
        calls: one `Moment` "before" for each operation so far.
        in_flight: operations in progress.
        peak: most operations in flight so far.
    """

    def __init__(self, inner: ObjectStore | None = None, hook: Hook = do_nothing) -> None:
        self.inner = inner or MemoryStore(provider=TINY)
        self.hook = hook
        self.calls: list[Moment] = []
        self.in_flight = 0
        self.peak = 0
        self.bucket = self.inner.bucket
        self.endpoint = self.inner.endpoint
        self.region = self.inner.region
        self.provider: Provider = self.inner.provider
        self.lane: Lane = self.inner.lane

    @property
    def memory(self) -> MemoryStore:
        """The store inside, where it is a MemoryStore."""
        if not isinstance(self.inner, MemoryStore):
            raise TypeError(f"the store inside is a {type(self.inner).__name__}")
        return self.inner

    def count(self, operation: str) -> int:
        """Return how often an operation was called."""
        return sum(call.operation == operation for call in self.calls)

    @asynccontextmanager
    async def _hooked(self, operation: str, key: str, part: int = 0) -> AsyncGenerator[None]:
        self.calls.append(Moment("before", operation, key, part))
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            await self.hook(Moment("before", operation, key, part))
            yield
            await self.hook(Moment("after", operation, key, part))
        finally:
            self.in_flight -= 1

    def _body(self, body: Body, operation: str, key: str, part: int = 0) -> Body:
        # Lanes look for BytesBody, so one is handed on as it is.
        if isinstance(body, BytesBody):
            return body
        return _HookedBody(body, self, Moment("chunk", operation, key, part))

    async def put_object(self, key: str, body: Body, options: PutOptions) -> Receipt:
        """As `ObjectStore`."""
        async with self._hooked("PutObject", key):
            return await self.inner.put_object(key, self._body(body, "PutObject", key), options)

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        """As `ObjectStore`."""
        async with self._hooked("CreateMultipartUpload", key):
            return await self.inner.create_multipart_upload(key, options)

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """As `ObjectStore`."""
        async with self._hooked("UploadPart", key, number):
            wrapped = self._body(body, "UploadPart", key, number)
            return await self.inner.upload_part(key, upload_id, number, wrapped)

    async def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        checksum: Checksum | None = None,
    ) -> Receipt:
        """As `ObjectStore`."""
        async with self._hooked("CompleteMultipartUpload", key):
            return await self.inner.complete_multipart_upload(key, upload_id, parts, checksum)

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """As `ObjectStore`."""
        async with self._hooked("AbortMultipartUpload", key):
            await self.inner.abort_multipart_upload(key, upload_id)

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """As `ObjectStore`."""
        return await self.inner.list_parts(key, upload_id)

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        """As `ObjectStore`."""
        return await self.inner.list_multipart_uploads(prefix)

    async def head_object(self, key: str) -> ObjectInfo:
        """As `ObjectStore`."""
        async with self._hooked("HeadObject", key):
            return await self.inner.head_object(key)

    def get_object(
        self, key: str, *, offset: int = 0, size: int | None = None, etag: str = ""
    ) -> AsyncIterator[bytes]:
        """As `ObjectStore`."""
        return self.inner.get_object(key, offset=offset, size=size, etag=etag)

    async def delete_object(self, key: str) -> None:
        """As `ObjectStore`."""
        await self.inner.delete_object(key)

    async def copy_object(self, source_key: str, key: str, *, etag: str = "") -> Receipt:
        """As `ObjectStore`."""
        async with self._hooked("CopyObject", key):
            return await self.inner.copy_object(source_key, key, etag=etag)

    def list_objects(
        self, prefix: str, *, start_after: str = "", delimiter: str = ""
    ) -> AsyncIterator[ListedPage]:
        """As `ObjectStore`."""
        return self.inner.list_objects(prefix, start_after=start_after, delimiter=delimiter)


class _HookedBody:
    def __init__(self, body: Body, store: HookedStore, moment: Moment) -> None:
        self._body = body
        self._store = store
        self._moment = moment
        self._loop = asyncio.get_running_loop()

    @property
    def size(self) -> int:
        return self._body.size

    @property
    def md5(self) -> str:
        return self._body.md5

    @property
    def content_md5(self) -> str:
        return self._body.content_md5

    @property
    def checksum(self) -> Checksum | None:
        return self._body.checksum

    async def chunks(self) -> AsyncIterator[bytes]:
        chunks = cast("AsyncGenerator[bytes]", self._body.chunks())
        try:
            async for chunk in chunks:
                await self._store.hook(self._moment)
                yield chunk
        finally:
            await chunks.aclose()

    def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
        for block in self._body.blocks(buffer):
            asyncio.run_coroutine_threadsafe(self._hook(), self._loop).result()
            yield block

    async def _hook(self) -> None:
        await self._store.hook(self._moment)


def fail_with(
    status: int, s3_code: str, *, operation: str, times: int = 10**9, key: str = "", part: int = 0
) -> Hook:
    """Return a hook that lets the first `times` requests of an operation fail with a response."""
    left = times

    async def hook(moment: Moment) -> None:
        nonlocal left
        wanted = moment.when == "before" and moment.operation == operation
        wanted = wanted and moment.part in {part, part or moment.part}
        if wanted and moment.key.endswith(key) and left > 0:
            left -= 1
            request = Request(operation, moment.key, "memory", "memory://")
            raise error_from_response(request, status, s3_code, "from the hook")

    return hook
