"""One client's connection: each request passed on and its answer passed back, with its fault."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from s3_uploader.testing.faults.delivery import Delivery
from s3_uploader.testing.faults.effects import Effect, LoseResponse
from s3_uploader.testing.faults.fault import Due
from s3_uploader.testing.faults.flow import BreakError, Flow, Wait
from s3_uploader.testing.faults.http import BodyReader, Head, MalformedError, read_head
from s3_uploader.testing.faults.reply import Reply
from s3_uploader.testing.faults.request import Request, read_request
from s3_uploader.testing.faults.wire import Upstream, UpstreamError, Wire

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER = 2.0
"""Seconds to go on reading after an early answer: closing at once would reset the connection, and
the client would lose the answer."""

_GRACE = 0.1
"""Seconds for the two directions to take notice of each other."""

_BROKEN = (OSError, asyncio.IncompleteReadError, MalformedError)


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
    def effects(self) -> tuple[Effect, ...]:
        """What is done to it."""
        return self.due.fault.effect.members if self.due else ()

    @property
    def loses_response(self) -> bool:
        """Whether the client gets no response to what the server does."""
        return any(isinstance(effect, LoseResponse) for effect in self.effects)

    def refuse(self) -> Reply | None:
        """Return what is answered without asking the server."""
        return next(filter(None, (effect.refuse() for effect in self.effects)), None)

    def replace(self) -> Reply | None:
        """Return what is answered instead of the server's response."""
        return next(filter(None, (effect.replace() for effect in self.effects)), None)

    @property
    def draw(self) -> int:
        """The number drawn for its fault."""
        return self.due.draw if self.due else 0


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
        client: Wire,
        upstream: Upstream,
        arrived: Callable[[Request], Visit],
        released: Wait,
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._arrived = arrived
        self._released = released
        self._server: Wire | None = None

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
            self._hang_up()

    async def _serve_one(self) -> bool:
        """Serve a request; return whether another may come on this connection."""
        head = await read_head(self._client.reader)
        if head is None:
            return False
        request = read_request(head)
        visit = self._arrived(request)
        body = BodyReader(self._client.reader, head)
        before = self._client.sent
        try:
            open_still = await self._answer(visit, request, body)
        finally:
            sent = self._client.sent - before
            visit.note(body_bytes=body.offset, response_bytes=sent, done=True)
        return open_still and head.keep_alive

    async def _answer(self, visit: Visit, request: Request, body: BodyReader) -> bool:
        refusal = visit.refuse()
        if refusal and (refusal.early or request.expects_continue):
            return await self._reply(visit, request, body, refusal)
        if request.expects_continue:
            await self._client.send(_CONTINUE)
        if refusal:
            await body.skip()
            return await self._reply(visit, request, body, refusal)
        flow = Flow(body, visit.effects, "request", visit.draw, self._released)
        await flow.begin()
        try:
            server = await self._connection()
            answer = await _ask(server, request, flow)
        except UpstreamError as error:
            self._hang_up()
            told = Reply(502, body=f"The fault proxy got no answer of the server: {error}\n")
            return await self._reply(replace(visit, due=None), request, body, told)
        visit.note(body_bytes=body.offset, upstream_status=answer.status)
        return await self._pass_back(visit, request, body, answer, server)

    async def _connection(self) -> Wire:
        """Return the connection to the server: the last one, unless the server has closed it."""
        if self._server is None or self._server.reader.at_eof():
            self._hang_up()
            self._server = await self._upstream.connect()
        return self._server

    async def _pass_back(
        self, visit: Visit, request: Request, body: BodyReader, answer: Head, server: Wire
    ) -> bool:
        back = BodyReader(server.reader, answer, bodiless=_bodiless(request, answer))
        until_close = back.until_close
        instead = visit.replace()
        if instead or visit.loses_response:
            await back.skip()
        if visit.loses_response:
            return False
        if instead:
            return await self._reply(visit, request, body, instead)
        return await self._respond(visit, request, body, answer, back) and not until_close

    async def _reply(self, visit: Visit, request: Request, body: BodyReader, reply: Reply) -> bool:
        """Respond ourselves; the connection stays open if the whole request was read."""
        head = reply.head(number=visit.sequence, close=not body.ended)
        back = BodyReader.of(b"" if _bodiless(request, head) else reply.content)
        return await self._respond(visit, request, body, head, back)

    async def _respond(
        self, visit: Visit, request: Request, body: BodyReader, head: Head, back: BodyReader
    ) -> bool:
        """Send a response with what is done to it; return whether the connection may stay open."""
        bodiless = _bodiless(request, head)
        back = await _edited(visit, request, head, back)
        delivery = Delivery()
        for effect in visit.effects:
            effect.deliver(delivery, visit.draw)
        flow = Flow(back, visit.effects, "response", visit.draw, self._released)
        await flow.begin()
        visit.note(body_bytes=body.offset, status=head.status)
        await delivery.run(head, flow.run, self._client.send, bodiless=bodiless)
        if not body.ended:
            await self._client.linger(_LINGER)
        return body.ended and head.keep_alive and (bodiless or head.framed)

    def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def _bodiless(request: Request, head: Head) -> bool:
    return request.head.method == "HEAD" or head.status in {204, 304}


async def _edited(visit: Visit, request: Request, head: Head, back: BodyReader) -> BodyReader:
    """Edit the head in place, and the body where an effect wants it; return the body."""
    editors = [effect for effect in visit.effects if request.operation in effect.bodies]
    if editors and head.status == 200:  # noqa: PLR2004
        data = await back.whole()
        for effect in editors:
            data = effect.edit_body(data, request, visit.draw)
        head.drop("transfer-encoding")
        head.set("Content-Length", str(len(data)))
        back = BodyReader.of(data)
    for effect in visit.effects:
        effect.edit(head, visit.draw)
    return back


async def _ask(server: Wire, request: Request, flow: Flow) -> Head:
    """Pass the request on; return the answer's head, which may come before all has passed."""

    async def send(data: bytes) -> None:
        try:
            await server.send(data)
        except OSError as error:
            raise UpstreamError(str(error)) from error

    async def pass_on() -> None:
        await send(request.head.raw)
        await flow.run(send)

    sending = asyncio.create_task(pass_on())
    answering = asyncio.create_task(_answer_head(server))
    try:
        await asyncio.wait((sending, answering), return_when=asyncio.FIRST_COMPLETED)
        # The answer may overtake the last step of sending, or be there when sending fails.
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


async def _answer_head(server: Wire) -> Head:
    """Return the head of the server's answer; of its 100 Continue the client has had ours."""
    try:
        while True:
            head = await read_head(server.reader, answer=True)
            if head is None:
                raise UpstreamError("it closed the connection")
            if head.status >= 200:  # noqa: PLR2004
                return head
    except _BROKEN as error:
        raise UpstreamError(str(error)) from error
