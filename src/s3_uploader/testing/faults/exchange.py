"""One client's connection: each request passed on and its answer passed back, with its fault."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from s3_uploader.testing.faults.effects import Drip, Effect, FlipBit, LoseAnswer, Reset, Side, Stall
from s3_uploader.testing.faults.fault import Due
from s3_uploader.testing.faults.http import CHUNK, BodyReader, Head, MalformedError, read_head
from s3_uploader.testing.faults.reply import Reply
from s3_uploader.testing.faults.request import Request, read_request

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER = 2.0
"""Seconds to go on reading after an early answer: closing at once would reset the connection, and
the client would lose the answer."""

_GRACE = 0.1
"""Seconds for the two directions to take notice of each other."""

_DRIP_SECONDS = 0.05
_BROKEN = (OSError, asyncio.IncompleteReadError, MalformedError)


class UpstreamError(Exception):
    """The server cannot be reached, broke off, or speaks no HTTP."""


class _ResetError(Exception):
    """A fault resets the connection here."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection's two streams."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send data and wait until the kernel has it."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST."""
        sock = self.writer.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def wire(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Wire:
    """Return the connection, with nothing buffered between us and the kernel."""
    writer.transport.set_write_buffer_limits(high=0)
    return Wire(reader, writer)


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the server is."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    async def connect(self) -> Wire:
        """Open a connection."""
        try:
            opened = asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=CHUNK)
            return wire(*await opened)
        except OSError as error:
            raise UpstreamError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Visit:
    """One request under way.

    Attributes:
        sequence: its number.
        due: its fault, if it has one.
        note: changes its record.
    """

    sequence: int
    due: Due | None
    note: Callable[..., Any]

    @property
    def effect(self) -> Effect:
        """What is done to it."""
        return self.due.fault.effect if self.due else Effect()

    @property
    def draw(self) -> Random:
        """The numbers its fault draws; never used without one."""
        return self.due.draw if self.due else Random(0)  # noqa: S311  (no secret)


class Exchange:
    """Serves one client until either side closes.

    Args:
        client: its connection.
        upstream: the server.
        arrived: makes the record of a request and chooses its fault.
        stalled: waits until stalls are released.
    """

    def __init__(
        self,
        client: Wire,
        upstream: Upstream,
        arrived: Callable[[Request], Visit],
        stalled: Callable[[], Any],
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._arrived = arrived
        self._stalled = stalled
        self._server: Wire | None = None

    async def serve(self) -> None:
        """Serve requests until the connection ends; what breaks it is no error here."""
        try:
            while await self._serve_one():
                pass
        except _ResetError:
            self._client.reset()
        except _BROKEN:
            self._client.writer.transport.abort()
        finally:
            self._client.writer.close()
            self._hang_up()

    async def _serve_one(self) -> bool:
        """Serve a request; return whether another may come on this connection."""
        head = await read_head(self._client.reader)
        if head is None:
            return False
        request = read_request(head)
        visit = self._arrived(request)
        body = BodyReader(self._client.reader, head)
        try:
            open_still = await self._serve_request(visit, request, body)
        finally:
            visit.note(body_bytes=body.offset, done=True)
        return open_still and head.keep_alive

    async def _serve_request(self, visit: Visit, request: Request, body: BodyReader) -> bool:
        refusal = visit.effect.refuse()
        if refusal and (refusal.early or request.expects_continue):
            return await self._reply_early(visit, request, body, refusal)
        if request.expects_continue:
            await self._client.send(_CONTINUE)
        if refusal:
            await body.skip()
            return await self._reply(visit, request, body, refusal)
        try:
            answer = await self._ask(visit, request, body)
        except UpstreamError as error:
            self._hang_up()
            told = Reply(502, body=f"The fault proxy has no answer of the server: {error}\n")
            return await self._reply_early(visit, request, body, told)
        visit.note(body_bytes=body.offset, upstream_status=answer.status)
        bodiless = request.head.method == "HEAD" or answer.status in {204, 304}
        back = BodyReader(self._wire.reader, answer, bodiless=bodiless)
        return await self._pass_back(visit, request, body, answer, back)

    # -------------------------------------------------------------------------------- to the server

    async def _ask(self, visit: Visit, request: Request, body: BodyReader) -> Head:
        """Pass the request on; return the answer's head, which may come before all has passed."""
        stop = await self._stop(visit.effect, "request", body)
        # A server closes connections that idle: one that is known to be closed is not used.
        if self._server is None or self._server.reader.at_eof():
            self._hang_up()
            self._server = await self._upstream.connect()
        sending = asyncio.create_task(self._pass_on(visit, request, body, stop))
        answering = asyncio.create_task(self._answer_head())
        try:
            await asyncio.wait((sending, answering), return_when=asyncio.FIRST_COMPLETED)
            # The answer may overtake the last step of sending; and be there when sending fails.
            if answering.done():
                await asyncio.wait((sending,), timeout=_GRACE)
            elif isinstance(sending.exception(), UpstreamError):
                await asyncio.wait((answering,), timeout=_GRACE)
            if not answering.done() and sending.exception():
                await sending
            return await answering
        finally:
            sending.cancel()
            answering.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)

    async def _pass_on(
        self, visit: Visit, request: Request, body: BodyReader, stop: int | None
    ) -> None:
        await self._to_server(request.head.raw)
        effect = visit.effect
        flip = None
        if isinstance(effect, FlipBit):
            flip = (effect.offset(body.size, visit.draw), 1 << effect.bit)
        await self._pump(body, self._to_server, effect, "request", stop=stop, flip=flip)

    async def _to_server(self, data: bytes) -> None:
        try:
            await self._wire.send(data)
        except OSError as error:
            raise UpstreamError(str(error)) from error

    async def _answer_head(self) -> Head:
        try:
            while True:
                head = await read_head(self._wire.reader, answer=True)
                if head is None:
                    raise UpstreamError("it closed the connection")
                # The client has had its 100 Continue from us.
                if head.status >= 200:  # noqa: PLR2004
                    return head
        except _BROKEN as error:
            raise UpstreamError(str(error)) from error

    # -------------------------------------------------------------------------------- to the client

    async def _pass_back(
        self, visit: Visit, request: Request, body: BodyReader, answer: Head, back: BodyReader
    ) -> bool:
        effect = visit.effect
        replaced = effect.replace()
        if replaced or isinstance(effect, LoseAnswer):
            await back.skip()
        if isinstance(effect, LoseAnswer):
            return False
        if replaced:
            return await self._reply(visit, request, body, replaced)
        effect.edit(answer, visit.draw)
        edited = None
        if request.operation in effect.bodies and answer.status == 200:  # noqa: PLR2004
            edited = effect.edit_body(await back.whole(), request, visit.draw)
            answer.drop("transfer-encoding")
            answer.set("Content-Length", str(len(edited)))
        stop = await self._stop(effect, "answer", back)
        visit.note(status=answer.status)
        await self._client.send(answer.encode() + (edited or b""))
        await self._pump(back, self._client.send, effect, "answer", stop=stop)
        if not body.ended:
            await self._linger()
        return body.ended and answer.keep_alive and not back.until_close

    async def _reply(self, visit: Visit, request: Request, body: BodyReader, reply: Reply) -> bool:
        """Answer; the connection stays open if the whole request was read."""
        visit.note(body_bytes=body.offset, status=reply.status)
        bodiless = request.head.method == "HEAD"
        close = not body.ended
        data = reply.encode(number=visit.sequence, bodiless=bodiless, close=close)
        await self._client.send(data)
        return not close

    async def _reply_early(
        self, visit: Visit, request: Request, body: BodyReader, reply: Reply
    ) -> bool:
        still_open = await self._reply(visit, request, body, reply)
        if not still_open:
            await self._linger()
        return still_open

    async def _linger(self) -> None:
        """End our side, and read what still comes until the client ends its own."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                self._client.writer.write_eof()
                while await self._client.reader.read(CHUNK):
                    pass

    # --------------------------------------------------------------------------------- on both ways

    async def _stop(self, effect: Effect, side: Side, body: BodyReader) -> int | None:
        """Return the offset at which `effect` stops a body; stop now if that is before it."""
        if not isinstance(effect, Reset | Stall) or effect.side != side:
            return None
        stop = effect.after if body.size is None else min(effect.after, body.size - 1)
        if stop > 0:
            return stop
        await self._halt(effect)
        return None

    async def _halt(self, effect: Effect) -> None:
        if isinstance(effect, Reset):
            raise _ResetError
        if isinstance(effect, Stall):
            with suppress(TimeoutError):
                async with asyncio.timeout(effect.seconds):
                    await self._stalled()

    async def _pump(
        self,
        body: BodyReader,
        send: Callable[[bytes], Any],
        effect: Effect,
        side: Side,
        *,
        stop: int | None = None,
        flip: tuple[int, int] | None = None,
    ) -> None:
        """Pass a body: halt at `stop`, change the byte and bit of `flip`."""
        rate = effect.bytes_per_second if isinstance(effect, Drip) and effect.side == side else 0
        most = max(1, int(rate * _DRIP_SECONDS)) if rate else CHUNK
        while not body.ended:
            begin = body.offset
            if stop is not None and begin >= stop:
                await self._halt(effect)
                stop = None
            lead, data, trail = await body.read(min(most, stop - begin) if stop else most)
            if flip and begin <= flip[0] < body.offset:
                at = flip[0] - begin
                data = data[:at] + bytes([data[at] ^ flip[1]]) + data[at + 1 :]
            await send(lead + data + trail if lead or trail else data)
            if rate:
                await asyncio.sleep(len(data) / rate)

    @property
    def _wire(self) -> Wire:
        if self._server is None:
            raise UpstreamError("not connected")
        return self._server

    def _hang_up(self) -> None:
        if self._server is not None:
            self._server.writer.transport.abort()
            self._server = None
