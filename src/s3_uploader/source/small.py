"""Read small files whole, hash them, and share each thread hop among many."""

import asyncio
import os
from collections.abc import Sequence

from s3_uploader.checksums import Digests
from s3_uploader.checksums.md5 import md5_of
from s3_uploader.errors import SourceError
from s3_uploader.source.fingerprint import Fingerprint, open_regular, source_error
from s3_uploader.source.within import Within
from s3_uploader.store.body import BytesBody
from s3_uploader.threads import Threads

_Result = BytesBody | BaseException | None
_File = tuple[str, int, Digests, Within | None]
_Asked = tuple[_File, "asyncio.Future[BytesBody | None]"]


class SmallFileReader:
    """Read small files, as many per thread hop as were asked for during the last hop.

    A thread hop costs more than reading 4 KiB; with many requests in flight this shares it.
    """

    def __init__(self) -> None:
        self._asked: list[_Asked] = []
        self._hopping = False
        self._thread = Threads(1, "s3-uploader-read")

    async def read(
        self, path: str, limit: int, digests: Digests, within: Within | None = None
    ) -> BytesBody | None:
        """Return the content of a file as a body, None if it is larger than the limit.

        Args:
            path: the file.
            limit: bytes.
            digests: what is computed of the content.
            within: the directory the file must not lie outside of.

        Raises:
            SourceError: missing, unreadable, not a regular file, changed while it was read, or
                another file than `within`.
            ResourceError: this process lacks a thread, a descriptor or memory for it.
        """
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[BytesBody | None] = loop.create_future()
        self._asked.append(((path, limit, digests, within), waiter))
        if not self._hopping and len(self._asked) == 1:
            # Not at once: others that ask in this turn of the loop share the hop.
            loop.call_soon(self._start_hop)
        return await waiter

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
            _deliver(asked, [failure] * len(asked) if failure else hop.result())
            self._start_hop()

        try:
            hop = asyncio.wrap_future(self._thread.submit(self._read_all, [p for p, _ in asked]))
            hop.add_done_callback(deliver)
        except BaseException as error:
            # Whatever it is, the waiters must be told.
            self._hopping = False
            _deliver(asked, [error] * len(asked))
            raise

    def _read_all(self, files: list[_File]) -> list[_Result]:
        results: list[_Result] = []
        for file in files:
            try:
                results.append(_read_one(*file))
            except BaseException as error:  # noqa: BLE001  (it is that one's who asked for the file)
                results.append(error)
        return results


def _read_one(path: str, limit: int, digests: Digests, within: Within | None) -> BytesBody | None:
    descriptor, before = open_regular(path)
    try:
        if before.st_size > limit:
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
    checksum = digests.checksum.of(data) if digests.checksum else None
    return BytesBody(data, md5_of(data) if digests.md5 else "", checksum)


def _deliver(asked: Sequence[_Asked], results: Sequence[_Result]) -> None:
    for (_, waiter), result in zip(asked, results, strict=True):
        if waiter.done():
            continue
        if isinstance(result, BaseException):
            waiter.set_exception(result)
        else:
            waiter.set_result(result)


def _read_to_end(descriptor: int, expected: int) -> bytes:
    # One byte more than expected, so that growth shows and no second read is needed.
    data = os.read(descriptor, expected + 1)
    while data and len(data) < expected:
        more = os.read(descriptor, expected + 1 - len(data))
        if not more:
            break
        data += more
    return data
