"""Bytes in memory as a source."""

from collections.abc import AsyncIterator, Callable, Iterator

from s3_uploader import to_thread
from s3_uploader.checksums import Checksum, Digests
from s3_uploader.checksums.md5 import md5_of
from s3_uploader.source.base import no_progress
from s3_uploader.source.fingerprint import Fingerprint
from s3_uploader.store.body import BytesBody

_BLOCK = 1024 * 1024


class BytesSource:
    """Bytes that do not change; they have no identity that a later process could know again.

    Args:
        data: anything with the buffer protocol; it is not copied.
        name: what messages name it by.
    """

    def __init__(self, data: bytes | bytearray | memoryview, name: str = "<bytes>") -> None:
        self.path = name
        self.identity: Fingerprint | None = None
        self._data = memoryview(data).cast("B")
        self.size = len(self._data)

    async def open(self) -> None:
        """Do nothing: the bytes are there."""

    async def read(self, limit: int, digests: Digests) -> BytesBody | None:
        """Return the whole as a body, None if it has more than `limit` bytes."""
        if self.size > limit:
            return None
        data = bytes(self._data)
        checksum = digests.checksum.of(data) if digests.checksum else None
        return BytesBody(data, md5_of(data) if digests.md5 else "", checksum)

    def body(
        self,
        offset: int,
        size: int,
        digests: Digests,
        progress: Callable[[int], None] = no_progress,
    ) -> "BytesRange":
        """Return a range of the bytes, as `Source.body`."""
        return BytesRange(self._data[offset : offset + size], digests, progress)

    async def check(self) -> None:
        """Do nothing: the bytes are the same."""


class BytesRange:
    """A range of bytes in memory as a body.

    Args:
        data: the bytes.
        digests: what is computed of them.
        progress: called on the event loop with the bytes handed on so far.
    """

    def __init__(self, data: memoryview, digests: Digests, progress: Callable[[int], None]) -> None:
        self.size = len(data)
        self.md5 = ""
        self.content_md5 = ""
        self.checksum: Checksum | None = None
        self._data = data
        self._digests = digests
        self._progress = progress

    async def prepare(self, *, md5: bool = False) -> None:
        """Compute MD5 and checksum, as far as they are wanted, in a worker thread."""
        algorithm = self._digests.checksum
        if algorithm is not None and self.checksum is None:
            self.checksum = await to_thread.run_sync(algorithm.of, self._data)
        if (md5 or self._digests.md5) and not self.md5:
            self.md5 = await self.hash()
        self.content_md5 = self.md5

    async def hash(self) -> str:
        """Return the MD5 of the range, in hex."""
        return await to_thread.run_sync(md5_of, self._data)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the range from its first byte, in blocks of at most 1 MiB."""
        for start in range(0, self.size, _BLOCK):
            block = bytes(self._data[start : start + _BLOCK])
            yield block
            self._progress(start + len(block))

    def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
        """Yield the range at once; for a worker thread, which copies nothing."""
        del buffer
        yield self._data
