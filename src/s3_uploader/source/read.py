"""Read files: small ones whole and many per thread hop, large ones in ranges, one pass each.

The bytes are hashed in the pass that reads them, and a file that changes between its opening and
the end of a pass is an error: nothing that was read from it may be published.
"""

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiofiles
from aiofiles.threadpool.binary import AsyncFileIO
from anyio import CancelScope, to_thread

from s3_uploader.errors import SourceError
from s3_uploader.store.base import Span

BLOCK = 1024 * 1024
"""Bytes read, hashed and sent at a time; with the requests in flight it bounds memory."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells that a file is still the one that was opened."""

    size: int
    mtime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Fingerprint":
        """Take the fingerprint from an `os.stat` result."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)

    def check(self, path: str, status: os.stat_result) -> None:
        """Raise SourceError "source.changed" if `status` is of another file or another state."""
        now = Fingerprint.of(status)
        if now == self:
            return
        if now.size != self.size:
            detail = f"size {self.size} -> {now.size}"
        elif now.mtime_ns != self.mtime_ns:
            detail = "modification time"
        else:
            detail = "replaced by another file"
        raise SourceError("source.changed", path=path, detail=detail)


def open_source(path: str) -> Fingerprint:
    """Return the fingerprint of the regular file at `path`. Blocks on the disk.

    Raises:
        SourceError: missing, a directory, a broken link, not a regular file, or unreadable.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise _source_error(path, error) from error
    except ValueError as error:
        raise SourceError("source.bad_path", path=repr(path)) from error
    if stat.S_ISDIR(status.st_mode):
        raise SourceError("source.is_directory", path=path)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError("source.special", path=path, kind="special file")
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise _source_error(path, error) from error
    return Fingerprint.of(status)


def recheck(path: str, fingerprint: Fingerprint) -> None:
    """Raise SourceError if the file at `path` is gone or changed. Blocks on the disk."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise SourceError("source.vanished", path=path) from error
    fingerprint.check(path, status)


def _source_error(path: str, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        code = "source.broken_link" if os.path.islink(path) else "source.missing"
        return SourceError(code, path=path)
    return SourceError("source.unreadable", path=path, reason=error.strerror or str(error))


# ----------------------------------------------------------------------------------- small files


@dataclass(frozen=True, slots=True)
class Content:
    """A whole small file and the hex MD5 of its bytes ("" when hashing is off)."""

    data: bytes
    md5: str


class SmallFileReader:
    """Read small files, as many per thread hop as have asked while the last hop was under way.

    A thread hop costs more than reading 4 KiB; with many requests in flight this shares it.

    Args:
        limit: files larger than this many bytes are not read; `read` returns None for them.
        hashing: whether to compute MD5.
    """

    def __init__(self, *, limit: int, hashing: bool) -> None:
        self._limit = limit
        self._hashing = hashing
        self._asked: list[tuple[str, asyncio.Future[Content | None]]] = []
        self._hop: asyncio.Future[list[Content | SourceError | None]] | None = None

    async def read(self, path: str) -> Content | None:
        """Return the content of the file at `path`, or None if it is larger than the limit.

        Raises:
            SourceError: missing, unreadable, not a regular file, or changed while it was read.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Content | None] = loop.create_future()
        self._asked.append((path, answer))
        if self._hop is None and len(self._asked) == 1:
            # Not at once: others that ask in this turn of the loop share the hop.
            loop.call_soon(self._start_hop)
        return await answer

    def _start_hop(self) -> None:
        if self._hop is not None or not self._asked:
            return
        asked, self._asked = self._asked, []
        paths = [path for path, _ in asked]
        hop = asyncio.get_running_loop().run_in_executor(None, self._read_all, paths)
        self._hop = hop

        def deliver(done: asyncio.Future[list[Content | SourceError | None]]) -> None:
            self._hop = None
            for (_, answer), result in zip(asked, done.result(), strict=True):
                if answer.done():
                    continue
                if isinstance(result, SourceError):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)
            self._start_hop()

        hop.add_done_callback(deliver)

    def _read_all(self, paths: list[str]) -> list[Content | SourceError | None]:
        return [self._read_one(path) for path in paths]

    def _read_one(self, path: str) -> Content | SourceError | None:
        try:
            # O_NONBLOCK: a fifo put in the file's place must not block the thread for ever.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            return _source_error(path, error)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                return SourceError("source.special", path=path, kind="special file")
            if before.st_size > self._limit:
                return None
            data = _read_to_end(descriptor, before.st_size)
            after = os.fstat(descriptor)
            if len(data) != before.st_size:
                detail = f"size {before.st_size} -> {len(data)}"
                return SourceError("source.changed", path=path, detail=detail)
            Fingerprint.of(before).check(path, after)
        except SourceError as error:
            return error
        except OSError as error:
            return _source_error(path, error)
        finally:
            os.close(descriptor)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest() if self._hashing else ""
        return Content(data, md5)


def _read_to_end(descriptor: int, expected: int) -> bytes:
    # One byte more than expected, so that growth shows and no second read is needed.
    data = os.read(descriptor, expected + 1)
    while data and len(data) < expected:
        more = os.read(descriptor, expected + 1 - len(data))
        if not more:
            break
        data += more
    return data


# ----------------------------------------------------------------------------------- large files


def _no_progress(_sent: int) -> None:
    return


_TELL_SECONDS = 0.05
_QUARTERS = 4
"""A worker thread tells its progress at each quarter of its range, and this often between."""


class _Teller:
    """Tells a pass's progress from a worker thread to the event loop, not at every block."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, progress: Callable[[int], None], size: int
    ) -> None:
        self._loop = loop
        self._progress = progress
        self._size = size
        self._at = time.monotonic()
        self._quarter = 0

    def tell(self, sent: int) -> None:
        """Tell that `sent` bytes are handed on, if it is time."""
        now = time.monotonic()
        quarter = sent * _QUARTERS // self._size
        if quarter != self._quarter or now - self._at >= _TELL_SECONDS:
            self._at, self._quarter = now, quarter
            self._loop.call_soon_threadsafe(self._progress, sent)


@asynccontextmanager
async def _opened(path: str) -> AsyncGenerator[AsyncFileIO]:
    """Open a file and close it again, also when cancelled in the middle of either."""
    with CancelScope(shield=True):
        file = await aiofiles.open(path, "rb", buffering=0)
    try:
        yield file
    finally:
        with CancelScope(shield=True):
            await file.close()


class FileRange:
    """A range of a file as a body that can be sent again: every pass reads the disk anew.

    Args:
        path: the file.
        fingerprint: what the file was when the upload of it began.
        offset, size: the range, in bytes.
        hashing: whether to compute MD5.
        progress: called on the event loop with the bytes of this pass handed on so far.
    """

    def __init__(
        self,
        path: str,
        fingerprint: Fingerprint,
        *,
        offset: int = 0,
        size: int,
        hashing: bool,
        progress: Callable[[int], None] = _no_progress,
    ) -> None:
        self.path = path
        self.size = size
        self._fingerprint = fingerprint
        self._offset = offset
        self._hashing = hashing
        self._progress = progress
        self._md5 = ""
        self._loop = asyncio.get_running_loop()

    @property
    def md5(self) -> str:
        """Hex MD5 of the last complete pass, "" before one or when hashing is off."""
        return self._md5

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the range from its first byte, in blocks of at most 1 MiB.

        Raises:
            SourceError: the file vanished, cannot be read, or changed since its fingerprint.
        """
        digest = self._begin_pass()
        sent = 0
        try:
            async with _opened(self.path) as file:
                await file.seek(self._offset)
                while block := await file.read(min(BLOCK, self.size - sent)):
                    if self._hashing:
                        await to_thread.run_sync(digest.update, block)
                    if sent + len(block) == self.size:
                        await to_thread.run_sync(self._end_pass, file.fileno(), digest)
                    yield block
                    sent += len(block)
                    self._progress(sent)
                if sent < self.size or not self.size:
                    await to_thread.run_sync(self._end_pass, file.fileno(), digest, sent)
        except OSError as error:
            raise self._translate(error) from error

    def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
        """Yield the range from its first byte, read into `buffer`; for a worker thread.

        Raises:
            SourceError: as `chunks`.
        """
        with self._descriptor() as descriptor:
            digest = self._begin_pass()
            progress = _Teller(self._loop, self._progress, self.size)
            sent = 0
            while count := self._read_into(buffer, descriptor, sent):
                if self._hashing:
                    digest.update(buffer[:count])
                if sent + count == self.size:
                    self._end_pass(descriptor, digest)
                yield buffer[:count]
                sent += count
                progress.tell(sent)
            if sent < self.size or not self.size:
                self._end_pass(descriptor, digest, sent)

    def spans(self, buffer: memoryview) -> Iterator[Span]:
        """Yield the range in pieces for the kernel to send; for a worker thread.

        With hashing, each piece is read into `buffer` and hashed before it is yielded. The bytes
        the kernel then sends are those hashed, or the file has changed in between: then the
        store's ETag is another one, and the fingerprint too.

        Raises:
            SourceError: as `chunks`.
        """
        with self._descriptor() as descriptor:
            digest = self._begin_pass()
            progress = _Teller(self._loop, self._progress, self.size)
            sent = 0
            while sent < self.size:
                size = min(self.size - sent, len(buffer) if self._hashing else BLOCK)
                if self._hashing:
                    size = self._read_into(buffer, descriptor, sent)
                    digest.update(buffer[:size])
                if not size:
                    break
                if sent + size == self.size:
                    self._end_pass(descriptor, digest)
                yield Span(descriptor, self._offset + sent, size)
                self._fingerprint.check(self.path, os.fstat(descriptor))
                sent += size
                progress.tell(sent)
            if sent < self.size or not self.size:
                self._end_pass(descriptor, digest, sent)

    @contextmanager
    def _descriptor(self) -> Iterator[int]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                yield descriptor
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._translate(error) from error

    def _read_into(self, buffer: memoryview, descriptor: int, sent: int) -> int:
        return os.preadv(descriptor, [buffer[: self.size - sent]], self._offset + sent)

    def _begin_pass(self) -> "hashlib._Hash":
        self._md5 = ""
        return hashlib.md5(usedforsecurity=False)

    def _end_pass(self, descriptor: int, digest: "hashlib._Hash", read: int | None = None) -> None:
        """Check the file and keep the digest, before the last block is handed on.

        Before, because a store that lacks the last block publishes nothing, and one that has it
        may answer at once.
        """
        self._fingerprint.check(self.path, os.fstat(descriptor))
        if read is not None and read != self.size:
            detail = f"range of {self.size} bytes ended after {read}"
            raise SourceError("source.changed", path=self.path, detail=detail)
        if self._hashing:
            self._md5 = digest.hexdigest()

    def _translate(self, error: OSError) -> SourceError:
        if isinstance(error, FileNotFoundError):
            return SourceError("source.vanished", path=self.path)
        return _source_error(self.path, error)
