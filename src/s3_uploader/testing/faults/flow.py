"""Passing a body from one side to the other, with what a fault does to it on the way."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from s3_uploader.testing.faults.effects import Drip, Effect, FlipBit, Reset, Side, Stall
from s3_uploader.testing.faults.http import CHUNK, BodyReader

_DRIP_SECONDS = 0.05
"""Seconds between the pieces of a slow body."""

Send = Callable[[bytes], Awaitable[None]]
Wait = Callable[[], Awaitable[object]]


class ResetError(Exception):
    """A fault resets the connection here."""


class Flow:
    """One body on its way.

    Args:
        body: where it comes from.
        effect: what is done to it.
        side: which of a request's two bodies it is.
        draw: the number drawn for the fault.
        released: waits until stalls are released.
    """

    def __init__(
        self, body: BodyReader, effect: Effect, side: Side, draw: int, released: Wait
    ) -> None:
        self._body = body
        self._effect = effect
        self._released = released
        self._stop: int | None = None
        self._flip: int | None = None
        self._rate = 0.0
        if isinstance(effect, Reset | Stall) and effect.side == side:
            # The last byte is held back, or the other side would have it all.
            last = effect.after if body.size is None else body.size - 1
            self._stop = min(effect.after, last)
        elif isinstance(effect, Drip) and effect.side == side:
            self._rate = effect.bytes_per_second
        elif isinstance(effect, FlipBit) and side == "request":
            self._flip = effect.offset(body.size, draw)

    async def begin(self) -> None:
        """Do what the fault does before the head passes.

        Raises:
            ResetError: the connection is to be reset.
        """
        if self._stop is not None and self._stop <= 0:
            await self._halt()

    async def run(self, send: Send) -> None:
        """Pass the body on by `send`; raises as `begin`."""
        most = max(1, int(self._rate * _DRIP_SECONDS)) if self._rate else CHUNK
        while not self._body.ended:
            begin = self._body.offset
            if begin == self._stop:
                await self._halt()
            lead, data, trail = await self._body.read(
                min(most, (self._stop or CHUNK + begin) - begin)
            )
            if self._flip is not None and begin <= self._flip < self._body.offset:
                data = self._flipped(data, self._flip - begin)
            if self._rate:
                await asyncio.sleep(len(data) / self._rate)
            await send(lead + data + trail if lead or trail else data)

    async def _halt(self) -> None:
        self._stop = None
        if isinstance(self._effect, Reset):
            raise ResetError
        if isinstance(self._effect, Stall):
            with suppress(TimeoutError):
                async with asyncio.timeout(self._effect.seconds):
                    await self._released()

    def _flipped(self, data: bytes, at: int) -> bytes:
        bit = self._effect.bit if isinstance(self._effect, FlipBit) else 0
        return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
