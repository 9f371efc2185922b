"""Small bodies: one asyncio protocol per connection, so hundreds in flight cost nothing."""

import asyncio
import time
from contextlib import suppress
from typing import cast

from s3_uploader.store.response import Response
from s3_uploader.store.wire.dial import Origin
from s3_uploader.store.wire.parser import MalformedResponseError, ResponseParser
from s3_uploader.store.wire.pool import Pool
from s3_uploader.store.wire.reading import Download, StreamedBody

_SWEEP_SECONDS = 0.5
_JOIN_LIMIT = 64 * 1024
"""Bodies up to this many bytes are copied behind the head, so both leave in one write."""


class StaleConnectionError(ConnectionError):
    """A kept connection turned out to be closed before it said anything: use a new one."""


class SmallConnection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.opened_at = self.used_at = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._parser = ResponseParser()
        self._waiting: asyncio.Future[Response] | None = None
        self._body: StreamedBody | None = None
        self._queued = 0
        self._moved = 0.0
        self._reused = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # Not checked by isinstance: uvloop's transports are their own kind.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand the response to the waiter, and what follows of it to who reads its body."""
        waiting, body = self._waiting, self._body
        if waiting is None and body is None:
            # Nothing was asked: the connection is of no more use.
            self.close()
            return
        try:
            response = self._parser.feed(data)
        except MalformedResponseError as error:
            self._malformed(error)
            return
        if waiting is not None and response is not None and not waiting.done():
            waiting.set_result(response)
        if body is not None:
            # The body of any other response than a streamed success stays the parser's, whole.
            pieces = self._parser.take() if self._parser.head is not None else []
            body.add(pieces, complete=self._parser.complete)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits or reads; a closing may also be what ends the response."""
        self._transport = None
        waiting, body = self._waiting, self._body
        if body is not None and not body.complete:
            body.fail(exc or ConnectionResetError("closed by the store"))
        if waiting is None or waiting.done():
            return
        response = self._parser.end()
        if response is not None:
            waiting.set_result(response)
        elif self._reused and not self._parser.begun:
            waiting.set_exception(StaleConnectionError("closed while idle"))
        else:
            waiting.set_exception(exc or ConnectionResetError("closed by the store"))

    # Called by the pool and its watch.

    @property
    def usable(self) -> bool:
        """Whether the connection is open."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Close at once, dropping what is not sent."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def exchange(
        self, head: bytes, body: bytes, into: StreamedBody | None = None
    ) -> tuple[Response, bool]:
        """Send a request; return the response, and whether the connection can be used again.

        Given `into`, the response to return is the head of a success, and its body goes there until
        `finish` is called; any other response is whole even so.

        Raises:
            OSError: the connection broke, or `check` saw it stall (TimeoutError).
        """
        transport = self._transport
        if transport is None:
            raise StaleConnectionError("closed while idle")
        self._parser.expect(bodiless=head.startswith(b"HEAD "), streamed=into is not None)
        self._body = into
        self._waiting = asyncio.get_running_loop().create_future()
        self._moved = time.monotonic()
        self._queued = 0
        if len(body) <= _JOIN_LIMIT:
            transport.write(head + body)
        else:
            transport.write(head + body[:_JOIN_LIMIT])
            transport.write(memoryview(body)[_JOIN_LIMIT:])
        done = False
        try:
            response = await self._waiting
            done = True
        finally:
            self._waiting = None
            self._reused = True
            # A response while the body still goes out ends the connection, as does giving up.
            unsent = not done or transport.get_write_buffer_size() > 0
            if unsent:
                self.close()
        return response, response.keep_alive and not unsent

    def finish(self) -> bool:
        """Expect no more of a body; return whether the connection can be used again."""
        body, self._body = self._body, None
        return body is not None and body.finished and self.usable

    def pause_reading(self) -> None:
        """Leave what the peer sends in the socket."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Receive again what the peer sends."""
        if self._transport is not None:
            self._transport.resume_reading()

    def check(self, now: float, stall: float, response: float) -> None:
        """Fail the request if nothing was sent for `stall`, or no response came for `response`.

        The response must be whole by then: one that drips must not hold the request for ever.
        """
        if self._transport is None or self._waiting is None:
            return
        queued = self._transport.get_write_buffer_size()
        if queued != self._queued:
            self._queued, self._moved = queued, now
        if now - self._moved > (stall if queued else response):
            self._fail(TimeoutError("no byte moved" if queued else "no whole response"))

    def _malformed(self, error: MalformedResponseError) -> None:
        if self._body is None or self._parser.head is None:
            self._fail(ConnectionError(f"malformed response: {error}"))
            return
        # The head was a response: it is judged first.
        self._body.fail(error)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._parser.head)
        self.close()

    def _fail(self, error: OSError) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        self.close()


class SmallSender:
    """Sends small bodies over pooled connections; one timer watches them all.

    Args:
        origin: where to.
        stall_timeout, response_timeout: seconds.
    """

    def __init__(self, origin: Origin, stall_timeout: float, response_timeout: float) -> None:
        self._origin = origin
        self._stall = stall_timeout
        self._response = response_timeout
        self._pool: Pool[SmallConnection] = Pool()
        self._busy: set[SmallConnection] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def exchange(self, head: bytes, body: bytes) -> Response:
        """Send a request and return its response.

        Raises:
            OSError: connecting failed, the connection broke, or nothing moved for too long.
        """
        kept = self._pool.acquire()
        if kept is not None:
            try:
                return await self._use(kept, head, body)
            except StaleConnectionError:
                # A POST may have taken effect (RFC 9110, section 9.2.2): not sent again unseen.
                if head.startswith(b"POST "):
                    raise
        return await self._use(await self._connect(), head, body)

    async def download(self, head: bytes) -> Download:
        """Send a request without a body and return its response, whose body is still to be read.

        Raises:
            OSError: as `exchange`.
        """
        kept = self._pool.acquire()
        if kept is not None:
            with suppress(StaleConnectionError):
                return await self._download(kept, head)
        return await self._download(await self._connect(), head)

    def close(self) -> None:
        """Close every connection."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._busy):
            connection.close()
        self._pool.close()

    async def _use(self, connection: SmallConnection, head: bytes, body: bytes) -> Response:
        self._busy.add(connection)
        self._watch()
        try:
            response, reusable = await connection.exchange(head, body)
        finally:
            self._busy.discard(connection)
        if reusable:
            self._pool.release(connection)
        else:
            connection.close()
        return response

    async def _download(self, connection: SmallConnection, head: bytes) -> Download:
        body = StreamedBody(connection)
        self._busy.add(connection)
        self._watch()
        try:
            response, _ = await connection.exchange(head, b"", body)
        except BaseException:
            self._busy.discard(connection)
            connection.close()
            raise

        def release() -> None:
            self._busy.discard(connection)
            if connection.finish() and response.keep_alive:
                self._pool.release(connection)
            else:
                connection.close()

        return Download(response, body, self._response, release)

    async def _connect(self) -> SmallConnection:
        origin = self._origin
        raw = await origin.dial()
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                SmallConnection,
                sock=raw,
                ssl=origin.context,
                server_hostname=origin.host if origin.context else None,
                ssl_handshake_timeout=origin.connect_timeout if origin.context else None,
            )
        except BaseException:
            raw.close()
            raise
        return connection

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = time.monotonic()
        for connection in list(self._busy):
            connection.check(now, self._stall, self._response)
        if self._busy:
            self._watch()
