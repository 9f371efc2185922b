"""Read small files whole, hash them, and share each thread hop among many."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from s3_uploader.errors import SourceError
from s3_uploader.source.crc import crc64nvme
from s3_uploader.source.fingerprint import Fingerprint, open_regular, source_error
from s3_uploader.source.within import Within
from s3_uploader.threads import Threads


@dataclass(frozen=True, slots=True)
class Content:
    """A whole small file, hex MD5 and CRC-64/NVME of its bytes ("" where not asked for)."""

    data: bytes
    md5: str
    crc64nvme: str = ""


_Result = Content | BaseException | None
_File = tuple[str, Within | None]
_Asked = tuple[_File, "asyncio.Future[Content | None]"]


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
        self._asked: list[_Asked] = []
        self._hopping = False
        self._thread = Threads(1, "s3-uploader-read")

    async def read(self, path: str, within: Within | None = None) -> Content | None:
        """Return the content of the file at `path`, or None if it is larger than the limit.

        Raises:
            SourceError: missing, unreadable, not a regular file, changed while it was read, or
                another file than `within`.
            ResourceError: this process lacks a thread, a descriptor or memory for it.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Content | None] = loop.create_future()
        self._asked.append(((path, within), answer))
        if not self._hopping and len(self._asked) == 1:
            # Not at once: others that ask in this turn of the loop share the hop.
            loop.call_soon(self._start_hop)
        return await answer

    async def close(self) -> None:
        """End the thread."""
        await self._thread.close()

    def _start_hop(self) -> None:
        if self._hopping or not self._asked:
            return
        asked, self._asked = self._asked, []
        self._hopping = True

        def deliver(hop: "asyncio.Future[list[_Result]]") -> None:
            self._hopping = False
            failure = hop.exception()
            _tell(asked, [failure] * len(asked) if failure else hop.result())
            self._start_hop()

        try:
            hop = asyncio.wrap_future(self._thread.submit(self._read_all, [p for p, _ in asked]))
            hop.add_done_callback(deliver)
        except BaseException as error:
            # Whatever it is, those who wait must hear of it.
            self._hopping = False
            _tell(asked, [error] * len(asked))
            raise

    def _read_all(self, files: list[_File]) -> list[_Result]:
        results: list[_Result] = []
        for path, within in files:
            try:
                results.append(self._read_one(path, within))
            except BaseException as error:  # noqa: BLE001  (it is that one's who asked for the file)
                results.append(error)
        return results

    def _read_one(self, path: str, within: Within | None) -> Content | None:
        descriptor, before = open_regular(path)
        try:
            if before.st_size > self._limit:
                return None
            if within is not None:
                within.check(path, before)
            data = _read_to_end(descriptor, before.st_size)
            after = os.fstat(descriptor)
            if len(data) != before.st_size:
                detail = f"size {before.st_size} -> {len(data)}"
                raise SourceError("source.changed", path=path, detail=detail)
            Fingerprint.of(before).check(path, after)
        except OSError as error:
            raise source_error(path, error) from error
        finally:
            os.close(descriptor)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest() if self._hashing else ""
        return Content(data, md5, crc64nvme(data) if self._checksumming else "")


def _tell(asked: Sequence[_Asked], results: Sequence[_Result]) -> None:
    for (_, answer), result in zip(asked, results, strict=True):
        if answer.done():
            continue
        if isinstance(result, BaseException):
            answer.set_exception(result)
        else:
            answer.set_result(result)


def _read_to_end(descriptor: int, expected: int) -> bytes:
    # One byte more than expected, so that growth shows and no second read is needed.
    data = os.read(descriptor, expected + 1)
    while data and len(data) < expected:
        more = os.read(descriptor, expected + 1 - len(data))
        if not more:
            break
        data += more
    return data
