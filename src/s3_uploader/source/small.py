"""Read small files whole, hash them, and share each thread hop among many."""

import asyncio
import hashlib
import os
from dataclasses import dataclass

from s3_uploader.errors import SourceError
from s3_uploader.source.crc import crc64nvme
from s3_uploader.source.fingerprint import Fingerprint, open_regular, source_error
from s3_uploader.source.within import Within


@dataclass(frozen=True, slots=True)
class Content:
    """A whole small file, hex MD5 and CRC-64/NVME of its bytes ("" where not asked for)."""

    data: bytes
    md5: str
    crc64nvme: str = ""


class SmallFileReader:
    """Read small files, as many per thread hop as have asked while the last hop was under way.

    A thread hop costs more than reading 4 KiB; with many requests in flight this shares it.

    Args:
        limit: files larger than this many bytes are not read; `read` returns None for them.
        hashing: whether to compute MD5.
        checksumming: whether to compute CRC-64/NVME.
    """

    def __init__(self, *, limit: int, hashing: bool, checksumming: bool = False) -> None:
        self._limit = limit
        self._hashing = hashing
        self._checksumming = checksumming
        self._asked: list[tuple[tuple[str, Within | None], asyncio.Future[Content | None]]] = []
        self._hop: asyncio.Future[list[Content | SourceError | None]] | None = None

    async def read(self, path: str, within: Within | None = None) -> Content | None:
        """Return the content of the file at `path`, or None if it is larger than the limit.

        Raises:
            SourceError: missing, unreadable, not a regular file, changed while it was read, or
                another file than `within`.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Content | None] = loop.create_future()
        self._asked.append(((path, within), answer))
        if self._hop is None and len(self._asked) == 1:
            # Not at once: others that ask in this turn of the loop share the hop.
            loop.call_soon(self._start_hop)
        return await answer

    def _start_hop(self) -> None:
        if self._hop is not None or not self._asked:
            return
        asked, self._asked = self._asked, []
        files = [file for file, _ in asked]
        hop = asyncio.get_running_loop().run_in_executor(None, self._read_all, files)
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

    def _read_all(
        self, files: list[tuple[str, Within | None]]
    ) -> list[Content | SourceError | None]:
        return [self._read_one(path, within) for path, within in files]

    def _read_one(self, path: str, within: Within | None) -> Content | SourceError | None:
        try:
            descriptor, before = open_regular(path)
        except SourceError as error:
            return error
        try:
            if before.st_size > self._limit:
                return None
            if within is not None:
                within.check(path, before)
            data = _read_to_end(descriptor, before.st_size)
            after = os.fstat(descriptor)
            if len(data) != before.st_size:
                detail = f"size {before.st_size} -> {len(data)}"
                return SourceError("source.changed", path=path, detail=detail)
            Fingerprint.of(before).check(path, after)
        except SourceError as error:
            return error
        except OSError as error:
            return source_error(path, error)
        finally:
            os.close(descriptor)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest() if self._hashing else ""
        return Content(data, md5, crc64nvme(data) if self._checksumming else "")


def _read_to_end(descriptor: int, expected: int) -> bytes:
    # One byte more than expected, so that growth shows and no second read is needed.
    data = os.read(descriptor, expected + 1)
    while data and len(data) < expected:
        more = os.read(descriptor, expected + 1 - len(data))
        if not more:
            break
        data += more
    return data
