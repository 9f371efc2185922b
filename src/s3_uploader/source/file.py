"""A file as a source."""

from collections.abc import Callable, Coroutine
from typing import Any

from s3_uploader import to_thread
from s3_uploader.checksums import Digests
from s3_uploader.source.base import no_progress
from s3_uploader.source.fingerprint import Fingerprint, open_source, recheck
from s3_uploader.source.ranges import FileRange
from s3_uploader.source.small import SmallFileReader
from s3_uploader.source.within import Within
from s3_uploader.store.body import BytesBody


class FileSource:
    """A regular file; once open, only the file that it was then.

    Args:
        path: the file.
        reader: reads small files.
        size: bytes at the walk, 0 if unknown.
        within: the directory it must not lie outside of, checked when it is opened or read.
    """

    __slots__ = ("_reader", "_within", "identity", "path", "size")

    def __init__(
        self, path: str, reader: SmallFileReader, size: int = 0, within: Within | None = None
    ) -> None:
        self.path = path
        self.size = size
        self.identity: Fingerprint | None = None
        self._reader = reader
        self._within = within

    async def open(self) -> None:
        """Measure the file; raises SourceError if it is missing, no regular file or unreadable."""
        self.identity = await to_thread.run_sync(open_source, self.path, self._within)
        self.size = self.identity.size

    def read(self, limit: int, digests: Digests) -> Coroutine[Any, Any, BytesBody | None]:
        """Return the whole file as a body, None if it has more than `limit` bytes."""
        return self._reader.read(self.path, limit, digests, self._within)

    def body(
        self,
        offset: int,
        size: int,
        digests: Digests,
        progress: Callable[[int], None] = no_progress,
    ) -> FileRange:
        """Return a range of the file, as `Source.body`."""
        return FileRange(
            self.path,
            self._opened(),
            offset=offset,
            size=size,
            digests=digests,
            progress=progress,
        )

    async def check(self) -> None:
        """Raise SourceError if the file is gone or changed."""
        await to_thread.run_sync(recheck, self.path, self._opened())

    def _opened(self) -> Fingerprint:
        if self.identity is None:
            raise AssertionError("the source was never opened")
        return self.identity
