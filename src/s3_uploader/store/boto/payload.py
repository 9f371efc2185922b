"""A body in the shape in which botocore signs it and aiohttp streams it."""

import asyncio
import io
from collections.abc import AsyncGenerator
from typing import cast

from anyio import CancelScope, create_memory_object_stream

from s3_uploader.errors import S3UploaderError
from s3_uploader.store.body import Body


class Payload:
    """A body in the shape aiohttp streams, with its error kept and its progress watched.

    The body is read in the caller's task group and handed over: aiohttp cancels its own tasks in
    ways that no shield holds off, and a response can come before a body's pass has ended.
    """

    def __init__(self, body: Body, stall: float, response: float) -> None:
        self.watch = CancelScope()
        self._body = body
        self._stall = stall
        self._response = response
        self._send, self._receive = create_memory_object_stream[bytes](0)
        self.error: S3UploaderError | None = None

    def read(self) -> bytes:
        """Exist, so that botocore takes this for a file; aiohttp iterates instead."""
        raise NotImplementedError

    def seek(self, offset: int) -> None:
        """Exist, so that botocore's signer by awscrt takes this for a file too."""
        del offset
        raise io.UnsupportedOperation("a body is sent in one pass")

    async def pump(self) -> None:
        """Read the body and hand it to aiohttp."""
        chunks = cast("AsyncGenerator[bytes]", self._body.chunks())
        with self._send:
            try:
                async for chunk in chunks:
                    self._extend(self._stall)
                    await self._send.send(chunk)
            except S3UploaderError as error:
                self.error = error
            finally:
                with CancelScope(shield=True):
                    await chunks.aclose()
                self._extend(self._response)

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        async for chunk in self._receive:
            yield chunk
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Close both ends, whichever of them was never reached."""
        self._send.close()
        self._receive.close()

    def _extend(self, seconds: float) -> None:
        self.watch.deadline = asyncio.get_running_loop().time() + seconds
