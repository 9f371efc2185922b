"""The body of an object, read from aiohttp in blocks, each within its deadline."""

import asyncio
from collections.abc import Mapping
from typing import Any

from s3_uploader.store.boto.errors import RESPONSE
from s3_uploader.store.errors import Request
from s3_uploader.store.ranges import Range, check_received
from s3_uploader.store.response import Response

_BLOCK = 1024 * 1024


class ObjectReader:
    """Reads what is wanted of an object.

    Args:
        request: what was asked, for messages.
        wanted: the range and version of it.
        result: what the client returned.
        seconds: within which each block must have come.

    Raises:
        StoreError: as `Range.announced`.
    """

    def __init__(
        self, request: Request, wanted: Range, result: Mapping[str, Any], seconds: float
    ) -> None:
        self._request = request
        self._response: Response = result[RESPONSE]
        self._announced = wanted.announced(request, self._response)
        self._content = result["Body"].content
        self._seconds = seconds
        self._received = 0

    async def read(self) -> bytes:
        """Return a block of 1 MiB, less at the end of the body, b"" behind it.

        Raises:
            StoreError: the body is longer or shorter than announced.
            TimeoutError: the block did not come in time: an object that drips must not be read for
                ever.
        """
        block = bytearray()
        async with asyncio.timeout(self._seconds):
            while len(block) < _BLOCK and (piece := await self._content.read(_BLOCK - len(block))):
                block += piece
        self._received += len(block)
        check_received(
            self._request, self._response, self._received, self._announced, ended=not block
        )
        return bytes(block)
