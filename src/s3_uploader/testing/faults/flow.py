"""Pass a body from one side to the other, with what a fault does to it on the way."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from s3_uploader.testing.faults.effects import Drip, Effect, FlipBit, Reset, Side, Stall
from s3_uploader.testing.faults.http import CHUNK, BodyReader

_DRIP_SECONDS = 0.05
"""Seconds between the pieces of a slow body."""

Send = Callable[[bytes], Awaitable[None]]
Wait = Callable[[], Awaitable[object]]


class BreakError(Exception):
    """A fault breaks the connection off here: by a reset if `rst`."""

    def __init__(self, *, rst: bool) -> None:
        super().__init__()
        self.rst = rst


class Flow:
    """One body on its way.

    Args:
        body: where it comes from.
        effects: what is done to it.
        side: which of a request's two bodies it is.
        random_bits: the random number of the fault.
        released: waits until stalls are released.
    """

    def __init__(
        self,
        body: BodyReader,
        effects: Iterable[Effect],
        side: Side,
        random_bits: int,
        released: Wait,
    ) -> None:
        self._body = body
        self._released = released
        self._halts: Reset | Stall | None = None
        self._stop: int | None = None
        self._flip: tuple[int, int] | None = None
        self._rate = 0.0
        for effect in effects:
            if isinstance(effect, Reset | Stall) and effect.side == side:
                # The last byte is held back, or the other side would have it all.
                last = effect.after if body.size is None else body.size - 1
                self._halts, self._stop = effect, min(effect.after, last)
            elif isinstance(effect, Drip) and effect.side == side:
                self._rate = effect.bytes_per_second
            elif isinstance(effect, FlipBit) and side == "request":
                self._flip = effect.offset(body.size, random_bits), effect.bit

    async def begin(self) -> None:
        """Do what the fault does before the head passes.

        Raises:
            BreakError: the connection is to be broken off.
        """
        if self._stop is not None and self._stop <= 0:
            await self._halt()

    async def run(self, send: Send, *, framed: bool = True) -> None:
        """Pass the body on by `send`, with what framed it unless `framed` is False.

        Raises as `begin`.
        """
        most = max(1, int(self._rate * _DRIP_SECONDS)) if self._rate else CHUNK
        while not self._body.ended:
            begin = self._body.offset
            if begin == self._stop:
                await self._halt()
            lead, data, trail = await self._body.read(
                min(most, (self._stop or CHUNK + begin) - begin)
            )
            if self._flip is not None and begin <= self._flip[0] < self._body.offset:
                data = _flipped(data, self._flip[0] - begin, self._flip[1])
            if self._rate:
                await asyncio.sleep(len(data) / self._rate)
            await send(lead + data + trail if framed and (lead or trail) else data)

    async def _halt(self) -> None:
        self._stop = None
        if isinstance(self._halts, Reset):
            raise BreakError(rst=self._halts.ending == "rst")
        if self._halts is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._halts.seconds):
                    await self._released()


def _flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
