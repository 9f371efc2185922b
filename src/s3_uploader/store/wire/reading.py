"""The body of a response as it is read: in bounded memory, however slow its reader."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from s3_uploader.store.response import Response

BLOCK = 1024 * 1024
"""Bytes that are read at a time, and held while the consumer pauses and the socket is not read."""


class Flow(Protocol):
    """A connection whose peer can be held back."""

    def pause_reading(self) -> None:
        """Leave what the peer sends in the socket."""
        ...

    def resume_reading(self) -> None:
        """Receive again what the peer sends."""
        ...


class StreamedBody:
    """What a connection has received of a body, and its reader has not taken yet.

    Args:
        flow: is paused while a block is held, so that the peer has to wait.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._pieces: list[bytes] = []
        self._held = 0
        self._paused = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self.complete = False

    @property
    def finished(self) -> bool:
        """Whether the connection has received all of it, and nothing else."""
        return self.complete and self._error is None and not self._paused

    def add(self, pieces: list[bytes], *, complete: bool) -> None:
        """Take in what has come; `complete` says that the body ends with it."""
        self._pieces += pieces
        self._held += sum(map(len, pieces))
        self.complete = complete
        if self._held >= BLOCK and not complete and not self._paused:
            self._paused = True
            self._flow.pause_reading()
        self._wake()

    def fail(self, error: Exception) -> None:
        """Let the reader meet an error, unless it has one already."""
        self._error = self._error or error
        self._wake()

    async def read(self) -> bytes:
        """Return a block of 1 MiB or little more, less at the end of the body, b"" behind it.

        Raises:
            Exception: what `fail` was given.
        """
        while self._error is None and self._held < BLOCK and not self.complete:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if self._error is not None:
            raise self._error
        block = b"".join(self._pieces)
        self._pieces, self._held = [], 0
        if self._paused:
            self._paused = False
            self._flow.resume_reading()
        return block

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Download:
    """A response, and its body where it is a success; other responses are whole.

    Args:
        response: status and headers.
        body: what follows.
        seconds: within which each block must have come.
        release: is called once, in the end, to do with the connection what is right.
    """

    def __init__(
        self, response: Response, body: StreamedBody, seconds: float, release: Callable[[], None]
    ) -> None:
        self.response = response
        self._body = body
        self._seconds = seconds
        self._release = release

    async def read(self) -> bytes:
        """Return the next block, b"" behind the last.

        Raises:
            OSError: the connection broke, or the block was not whole in time (TimeoutError).
            MalformedResponseError: the body is framed wrongly, or bytes follow it.
        """
        # For each block: a body that drips must not be read for ever.
        async with asyncio.timeout(self._seconds):
            return await self._body.read()

    def close(self) -> None:
        """Let go of the connection: it serves again only if all of the body has come."""
        self._release()
