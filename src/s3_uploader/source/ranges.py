"""Read ranges of large files, hashed in the one pass that reads them.

A file that changes between its opening and the end of a pass is an error: nothing that was read
from it may be published.
"""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TypeVar

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO
from anyio import CancelScope

from s3_uploader import to_thread
from s3_uploader.checksums import Checksum, Digests
from s3_uploader.checksums.md5 import new as new_md5
from s3_uploader.errors import SourceError
from s3_uploader.source.base import no_progress
from s3_uploader.source.fingerprint import Fingerprint, open_regular, source_error
from s3_uploader.store.body import Span

T = TypeVar("T")

BLOCK = 1024 * 1024
"""Bytes read, hashed and sent at a time; with the requests in flight it bounds memory."""

_CHECKSUM_BLOCK = 256 * 1024
"""Bytes read and checksummed at a time: within a core's cache."""


_REPORT_SECONDS = 0.05
_QUARTERS = 4
"""A worker thread reports progress at each quarter of its range, and this often in between."""


class _ProgressThrottle:
    """Reports a pass's progress from a worker thread to the event loop, not at every block."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, progress: Callable[[int], None], size: int
    ) -> None:
        self._loop = loop
        self._progress = progress
        self._size = size
        self._at = time.monotonic()
        self._quarter = 0

    def report(self, sent: int) -> None:
        """Report that `sent` bytes have been handed on, if a report is due."""
        now = time.monotonic()
        quarter = sent * _QUARTERS // self._size
        if quarter != self._quarter or now - self._at >= _REPORT_SECONDS:
            self._at, self._quarter = now, quarter
            self._loop.call_soon_threadsafe(self._progress, sent)


async def run_in_thread(work: Callable[[Callable[[], bool]], T]) -> T:
    """Run `work` in a worker thread; cancelled, return at once.

    `work` is given a function that says whether to stop, to be asked at each block.
    """
    stop = threading.Event()
    try:
        return await to_thread.run_sync(work, stop.is_set, abandon_on_cancel=True)
    finally:
        stop.set()


@asynccontextmanager
async def _opened(path: str, opener: Callable[[str, int], int]) -> AsyncGenerator[AsyncFileIO]:
    """Open a file and close it again, also when cancelled in the middle of either.

    The shields wait for the disk alone: `opener` opens nothing but regular files.
    """
    with CancelScope(shield=True):
        file = await aiofiles.open(path, "rb", buffering=0, opener=opener)
    try:
        yield file
    finally:
        with CancelScope(shield=True):
            await file.close()


class FileRange:
    """A range of a file as a body that can be sent again: every pass reads the disk again.

    Args:
        path: the file.
        fingerprint: what the file was when the upload of it began.
        offset, size: the range, in bytes.
        digests: MD5 is computed by each pass, the checksum by `prepare`.
        progress: called on the event loop with the bytes of this pass handed on so far.
    """

    def __init__(
        self,
        path: str,
        fingerprint: Fingerprint,
        *,
        offset: int = 0,
        size: int,
        digests: Digests,
        progress: Callable[[int], None] = no_progress,
    ) -> None:
        self.path = path
        self.size = size
        self._fingerprint = fingerprint
        self._offset = offset
        self._hashing = digests.md5
        self._algorithm = digests.checksum
        self._progress = progress
        self._md5 = ""
        self._content_md5 = ""
        self._checksum: Checksum | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def md5(self) -> str:
        """Hex MD5 of the last complete pass, "" before one or when hashing is off."""
        return self._md5

    @property
    def content_md5(self) -> str:
        """Hex MD5 of the last `prepare`, "" where none was asked for."""
        return self._content_md5

    @property
    def checksum(self) -> Checksum | None:
        """Checksum of the last `prepare`, None where none was asked for."""
        return self._checksum

    async def prepare(self, *, md5: bool = False) -> None:
        """Compute what the request carries, in a pass of its own before the one that sends.

        That is the checksum, where asked for, and with `md5` Content-MD5.

        A checksum goes before the body, in a header that is signed; behind it, as a trailer, many
        stores take it for content. The pass leaves the range in the page cache for the next.

        Raises:
            SourceError: as `chunks`.
        """
        if self._algorithm is not None or md5:
            await run_in_thread(partial(self._digest, md5=md5))

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the range from its first byte, in blocks of at most 1 MiB.

        Raises:
            SourceError: the file vanished, cannot be read, or changed since its fingerprint.
        """
        digest = self._start_read()
        sent = 0
        try:
            async with _opened(self.path, lambda _path, _flags: self._open()) as file:
                await file.seek(self._offset)
                while block := await file.read(min(BLOCK, self.size - sent)):
                    if self._hashing:
                        await to_thread.run_sync(digest.update, block)
                    if sent + len(block) == self.size:
                        await to_thread.run_sync(self._finish_read, file.fileno(), digest)
                    yield block
                    sent += len(block)
                    self._progress(sent)
                if sent < self.size or not self.size:
                    await to_thread.run_sync(self._finish_read, file.fileno(), digest, sent)
        except OSError as error:
            raise source_error(self.path, error) from error

    def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
        """Yield the range from its first byte, read into `buffer`; for a worker thread.

        Raises:
            SourceError: as `chunks`.
        """
        with self._descriptor() as descriptor:
            digest = self._start_read()
            progress = _ProgressThrottle(self._loop, self._progress, self.size)
            sent = 0
            while count := self._read_into(buffer, descriptor, sent):
                if self._hashing:
                    digest.update(buffer[:count])
                if sent + count == self.size:
                    self._finish_read(descriptor, digest)
                yield buffer[:count]
                sent += count
                progress.report(sent)
            if sent < self.size or not self.size:
                self._finish_read(descriptor, digest, sent)

    def spans(self, buffer: memoryview) -> Iterator[Span]:
        """Yield the range in pieces for the kernel to send; for a worker thread.

        With hashing, each piece is read into `buffer` and hashed before it is yielded. The bytes
        the kernel then sends are those hashed, or the file has changed in between: then the
        store's ETag is another one, and the fingerprint too.

        Raises:
            SourceError: as `chunks`.
        """
        with self._descriptor() as descriptor:
            digest = self._start_read()
            progress = _ProgressThrottle(self._loop, self._progress, self.size)
            sent = 0
            while sent < self.size:
                size = min(self.size - sent, len(buffer) if self._hashing else BLOCK)
                if self._hashing:
                    size = self._read_into(buffer, descriptor, sent)
                    digest.update(buffer[:size])
                if not size:
                    break
                if sent + size == self.size:
                    self._finish_read(descriptor, digest)
                yield Span(descriptor, self._offset + sent, size)
                self._fingerprint.check(self.path, os.fstat(descriptor))
                sent += size
                progress.report(sent)
            if sent < self.size or not self.size:
                self._finish_read(descriptor, digest, sent)

    async def hash(self) -> str:
        """Read the range in a worker thread and return its MD5.

        Raises:
            SourceError: as `chunks`.
        """
        await run_in_thread(self._read_through)
        return self._md5

    def _digest(self, stopped: Callable[[], bool], *, md5: bool) -> None:
        checksum = self._algorithm.new() if self._algorithm else None
        whole = new_md5() if md5 else None
        buffer = memoryview(bytearray(min(_CHECKSUM_BLOCK, self.size)))
        with self._descriptor() as descriptor:
            read = 0
            while not stopped() and (count := self._read_into(buffer, descriptor, read)):
                for digest in (checksum, whole):
                    if digest is not None:
                        digest.update(buffer[:count])
                read += count
            self._check_read(descriptor, read)
        if checksum is not None and self._algorithm is not None:
            self._checksum = Checksum(self._algorithm.name, checksum.value())
        self._content_md5 = whole.hexdigest() if whole else ""

    def _read_through(self, stopped: Callable[[], bool]) -> None:
        for _ in self.blocks(memoryview(bytearray(BLOCK))):
            if stopped():
                return

    @contextmanager
    def _descriptor(self) -> Iterator[int]:
        descriptor = self._open()
        try:
            yield descriptor
        except OSError as error:
            raise source_error(self.path, error) from error
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        """Open the file, if it is the one that was; before a byte of it is read."""
        try:
            descriptor, status = open_regular(self.path)
        except SourceError as error:
            if error.code in {"source.missing", "source.broken_link"}:
                raise SourceError("source.vanished", path=self.path) from error
            raise
        try:
            self._fingerprint.check(self.path, status)
        except SourceError:
            os.close(descriptor)
            raise
        return descriptor

    def _read_into(self, buffer: memoryview, descriptor: int, sent: int) -> int:
        return os.preadv(descriptor, [buffer[: self.size - sent]], self._offset + sent)

    def _start_read(self) -> "hashlib._Hash":
        self._md5 = ""
        return new_md5()

    def _finish_read(
        self, descriptor: int, digest: "hashlib._Hash", read: int | None = None
    ) -> None:
        """Check the file and keep the digest, before the last block is handed on.

        Before, because a store that lacks the last block publishes nothing, and one that has it
        may respond at once.
        """
        self._check_read(descriptor, self.size if read is None else read)
        if self._hashing:
            self._md5 = digest.hexdigest()

    def _check_read(self, descriptor: int, read: int) -> None:
        self._fingerprint.check(self.path, os.fstat(descriptor))
        if read != self.size:
            detail = f"range of {self.size} bytes ended after {read}"
            raise SourceError("source.changed", path=self.path, detail=detail)
