"""Send a response to the client: its framing, its pace, and what is added to it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from s3_uploader.testing.faults.http import Head

Where = Literal["interim", "head", "body", "trailers", "after"]
Send = Callable[[bytes], Awaitable[None]]


class PassBody(Protocol):
    """Sends a body by `send`, with what framed it at the server unless `framed` is False."""

    def __call__(self, send: Send, *, framed: bool = True) -> Awaitable[None]: ...  # noqa: D102


_BLOCK = 64 * 1024
"""Bytes of what is added that are held at once."""

_LINE = 1024
"""Bytes of a header line that is added, at most."""


@dataclass(slots=True)
class Delivery:
    """How one response is sent; unless changed, as the server framed it.

    Attributes:
        chunk: most bytes in a chunk of the chunked encoding; None keeps the server's framing.
        added: bytes to add, by where they are added.
        pace: most bytes in one write, and the seconds after each; None writes at once.
    """

    chunk: int | None = None
    added: Counter[Where] = field(default_factory=Counter)
    pace: tuple[int, float] | None = None

    async def run(
        self,
        head: Head,
        pass_body: PassBody,
        send: Send,
        *,
        bodiless: bool,
    ) -> None:
        """Send a response.

        Args:
            head: its head; the headers that frame the body change where the framing does.
            pass_body: sends the body.
            send: sends bytes to the client.
            bodiless: no body follows the head, whatever it says.
        """
        send = self._paced(send)
        reframed = not bodiless and bool(self.chunk or self.added["body"] or self.added["trailers"])
        if reframed:
            head.drop("content-length")
            head.set("Transfer-Encoding", "chunked")
        await self._add("interim", send)
        encoded = head.encode()
        if self.added["head"]:
            await send(encoded[:-2])
            await self._add("head", send)
            await send(encoded[-2:])
        else:
            await send(encoded)
        await (self._chunked(pass_body, send) if reframed else pass_body(send))
        await self._add("after", send)

    async def _chunked(self, pass_body: PassBody, send: Send) -> None:
        async def send_chunks(data: bytes) -> None:
            step = self.chunk or len(data)
            for begin in range(0, len(data), step):
                piece = data[begin : begin + step]
                await send(b"%x\r\n%b\r\n" % (len(piece), piece))

        await pass_body(send_chunks, framed=False)
        await self._add("body", send_chunks)
        await send(b"0\r\n")
        await self._add("trailers", send)
        await send(b"\r\n")

    async def _add(self, where: Where, send: Send) -> None:
        async for block in _filler(where, self.added[where]):
            await send(block)

    def _paced(self, send: Send) -> Send:
        if self.pace is None:
            return send
        most, seconds = self.pace

        async def send_slowly(data: bytes) -> None:
            for begin in range(0, len(data), most):
                await send(data[begin : begin + most])
                await asyncio.sleep(seconds)

        return send_slowly


async def _filler(where: Where, size: int) -> AsyncIterator[bytes]:
    """Yield about `size` bytes, in whole units of what may stand there; at least one unit."""
    unit = _unit(where, size)
    count = -(-size // len(unit))
    at_once = max(1, _BLOCK // len(unit))
    while count > 0:
        yield unit * min(count, at_once)
        count -= at_once


def _unit(where: Where, size: int) -> bytes:
    """Return what is repeated: nothing that contradicts what the response itself says."""
    if where == "interim":
        return b"HTTP/1.1 103 Early Hints\r\nX-Added: 1\r\n\r\n"
    if where == "after":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    if where == "body":
        return b"\n"
    return b"X-Added: %b\r\n" % (b"x" * (min(size, _LINE) - len(b"X-Added: \r\n")))
