"""One client's connection: pass each request on and its response back, with its fault."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from s3_uploader.testing.faults.connection import Connection, Upstream, UpstreamError
from s3_uploader.testing.faults.delivery import Delivery
from s3_uploader.testing.faults.effects import Effect, LoseResponse
from s3_uploader.testing.faults.fault import ScheduledFault
from s3_uploader.testing.faults.flow import BreakError, Flow, Wait
from s3_uploader.testing.faults.http import BodyReader, Head, MalformedError, read_head
from s3_uploader.testing.faults.reply import Reply
from s3_uploader.testing.faults.request import Request, read_request

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER = 2.0
"""Seconds to go on reading after an early response: closing at once would reset the connection,
and the client would lose the response."""

_GRACE = 0.1
"""Seconds for the two directions to take notice of each other."""

_BROKEN = (OSError, asyncio.IncompleteReadError, MalformedError)


@dataclass(frozen=True, slots=True)
class RequestState:
    """One request in progress.

    Attributes:
        request: its operation, key and head.
        sequence: its number.
        scheduled: its fault, if it has one.
        update: changes its record.
    """

    request: Request
    sequence: int
    scheduled: ScheduledFault | None
    update: Callable[..., Any]

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What is done to the request and its response."""
        return self.scheduled.fault.effect.members if self.scheduled else ()

    @property
    def loses_response(self) -> bool:
        """Whether the client gets no response to what the server does."""
        return any(isinstance(effect, LoseResponse) for effect in self.effects)

    def reply_before(self) -> Reply | None:
        """Return the response to send instead of passing the request on."""
        return next(filter(None, (effect.reply_before() for effect in self.effects)), None)

    def reply_after(self) -> Reply | None:
        """Return the response to send in place of the server's."""
        return next(filter(None, (effect.reply_after() for effect in self.effects)), None)

    @property
    def random_bits(self) -> int:
        """The random number of the fault."""
        return self.scheduled.random_bits if self.scheduled else 0


class Exchange:
    """Serves one client until either side closes.

    Args:
        client: its connection.
        upstream: the server.
        arrived: makes the record of a request and chooses its fault.
        released: waits until stalls are released.
    """

    def __init__(
        self,
        client: Connection,
        upstream: Upstream,
        arrived: Callable[[Request], RequestState],
        released: Wait,
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._arrived = arrived
        self._released = released
        self._server: Connection | None = None

    async def serve(self) -> None:
        """Serve requests until the connection ends; what breaks it is no error here."""
        try:
            while await self._serve_one():
                pass
        except BreakError as error:
            if error.rst:
                self._client.reset()
        except _BROKEN:
            pass
        finally:
            self._client.close()
            self._close_server()

    async def _serve_one(self) -> bool:
        """Serve a request; return whether another may come on this connection."""
        head = await read_head(self._client.reader)
        if head is None:
            return False
        state = self._arrived(read_request(head))
        body = BodyReader(self._client.reader, head)
        before = self._client.sent
        try:
            open_still = await self._process(state, body)
        finally:
            sent = self._client.sent - before
            state.update(body_bytes=body.offset, response_bytes=sent, done=True)
        return open_still and head.keep_alive

    async def _process(self, state: RequestState, body: BodyReader) -> bool:
        own = state.reply_before()
        if own and (own.early or state.request.expects_continue):
            return await self._reply(state, body, own)
        if state.request.expects_continue:
            await self._client.send(_CONTINUE)
        if own:
            await body.skip()
            return await self._reply(state, body, own)
        flow = Flow(body, state.effects, "request", state.random_bits, self._released)
        await flow.begin()
        try:
            server = await self._connect()
            head = await _forward(server, state.request, flow)
        except UpstreamError as error:
            self._close_server()
            own = Reply(502, body=f"The fault proxy got no response from the server: {error}\n")
            return await self._reply(replace(state, scheduled=None), body, own)
        state.update(body_bytes=body.offset, upstream_status=head.status)
        return await self._pass_back(state, body, head, server)

    async def _connect(self) -> Connection:
        """Return the connection to the server: the last one, unless the server has closed it."""
        if self._server is None or self._server.reader.at_eof():
            self._close_server()
            self._server = await self._upstream.connect()
        return self._server

    async def _pass_back(
        self, state: RequestState, body: BodyReader, head: Head, server: Connection
    ) -> bool:
        back = BodyReader(server.reader, head, bodiless=_bodiless(state.request, head))
        until_close = back.until_close
        own = state.reply_after()
        if own or state.loses_response:
            await back.skip()
        if state.loses_response:
            return False
        if own:
            return await self._reply(state, body, own)
        return await self._respond(state, body, head, back) and not until_close

    async def _reply(self, state: RequestState, body: BodyReader, reply: Reply) -> bool:
        """Send a response of our own; the connection stays open if the whole request was read."""
        head = reply.head(number=state.sequence, close=not body.ended)
        back = BodyReader.of(b"" if _bodiless(state.request, head) else reply.content)
        return await self._respond(state, body, head, back)

    async def _respond(
        self, state: RequestState, body: BodyReader, head: Head, back: BodyReader
    ) -> bool:
        """Send a response with what is done to it; return whether the connection may stay open."""
        bodiless = _bodiless(state.request, head)
        back = await _edited(state, head, back)
        delivery = Delivery()
        for effect in state.effects:
            effect.deliver(delivery, state.random_bits)
        flow = Flow(back, state.effects, "response", state.random_bits, self._released)
        await flow.begin()
        state.update(body_bytes=body.offset, status=head.status)
        await delivery.run(head, flow.run, self._client.send, bodiless=bodiless)
        if not body.ended:
            await self._client.linger(_LINGER)
        return body.ended and head.keep_alive and (bodiless or head.framed)

    def _close_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def _bodiless(request: Request, head: Head) -> bool:
    return request.head.method == "HEAD" or head.status in {204, 304}


async def _edited(state: RequestState, head: Head, back: BodyReader) -> BodyReader:
    """Edit the head in place, and the body where an effect wants it; return the body."""
    editors = [effect for effect in state.effects if state.request.operation in effect.bodies]
    if editors and head.status == 200:  # noqa: PLR2004
        data = await back.whole()
        for effect in editors:
            data = effect.edit_body(data, state.request, state.random_bits)
        head.drop("transfer-encoding")
        head.set("Content-Length", str(len(data)))
        back = BodyReader.of(data)
    for effect in state.effects:
        effect.edit(head, state.random_bits)
    return back


async def _forward(server: Connection, request: Request, flow: Flow) -> Head:
    """Pass the request on; return the response's head, which may come before all has passed."""

    async def send(data: bytes) -> None:
        try:
            await server.send(data)
        except OSError as error:
            raise UpstreamError(str(error)) from error

    async def pass_on() -> None:
        await send(request.head.raw)
        await flow.run(send)

    sending = asyncio.create_task(pass_on())
    receiving = asyncio.create_task(_response_head(server))
    try:
        await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
        # The response may overtake the last step of sending, or be there when sending fails.
        if receiving.done():
            await asyncio.wait((sending,), timeout=_GRACE)
        elif isinstance(sending.exception(), UpstreamError):
            await asyncio.wait((receiving,), timeout=_GRACE)
        if not receiving.done() and sending.exception():
            await sending
        return await receiving
    finally:
        sending.cancel()
        receiving.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)


async def _response_head(server: Connection) -> Head:
    """Return the head of the server's response; its 100 Continue is dropped: we have sent ours."""
    try:
        while True:
            head = await read_head(server.reader, response=True)
            if head is None:
                raise UpstreamError("it closed the connection")
            if head.status >= 200:  # noqa: PLR2004
                return head
    except _BROKEN as error:
        raise UpstreamError(str(error)) from error
