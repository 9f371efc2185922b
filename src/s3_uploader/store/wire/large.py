"""Large bodies: one blocking worker thread per request in flight, one reused buffer each.

Reading, hashing and sending all release the GIL, so threads use every core; a buffer that is
reused costs no page faults; without TLS the kernel sends from the file itself. The engine awaits
the thread; a cancellation shuts the socket down, which frees the thread at its next system call.
"""

import asyncio
import os
import select
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
from anyio import to_thread

from s3_uploader.store.base import Body, FileBody, Span
from s3_uploader.store.wire.answer import Answer, AnswerReader, MalformedAnswerError
from s3_uploader.store.wire.dial import Origin
from s3_uploader.store.wire.pool import Pool
from s3_uploader.store.wire.small import StaleConnectionError

BUFFER = 256 * 1024
"""Bytes read, hashed and sent at a time by one worker: within a core's cache, and with 256 requests
in flight 64 MiB in all."""

_SENDFILE = sys.platform == "linux"
"""The kernel sends from the page cache: a sixth of the CPU of reading and sending 2 GiB."""

_RECEIVE = 64 * 1024
_JOINED = 16 * 1024 - 1024
"""Bytes copied behind the head, so that both leave in one TLS record of at most 16 KiB."""
_FREE_SECONDS = 1.0
"""A worker must be free this long after its socket was shut down."""


class LargeConnection:
    """A blocking connection. Its methods run in a worker thread, except `cancel` and `close`."""

    def __init__(self, raw: socket.socket, origin: Origin, stall: float, response: float) -> None:
        self.born = self.used = time.monotonic()
        self._raw = raw
        self._socket = raw
        self._origin = origin
        self._stall = stall
        self._response = response
        self._reader = AnswerReader()
        self._poll = select.poll()
        self._poll.register(raw.fileno(), select.POLLIN)
        self._raw_fd = raw.fileno()
        self._sent = 0
        self._connected = False
        self._reused = False
        self._cancelled = False

    @property
    def usable(self) -> bool:
        """Whether the idle connection is silent: a closing peer makes it readable."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def cancel(self) -> None:
        """Free the thread that uses the connection; called from the event loop."""
        self._cancelled = True
        try:
            # Not SSLSocket's own shutdown, which would drop TLS under the thread's feet.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            # Not connected any more: the thread finds out by itself.
            return

    def exchange(self, head: bytes, body: Body, buffer: memoryview) -> tuple[Answer, bool]:
        """Send a request; return the answer, and whether the connection can be used again.

        Raises:
            OSError: the connection broke, or nothing moved for the time allowed.
            SourceError: from the body.
        """
        self._handshake()
        if self._cancelled:
            raise ConnectionAbortedError("cancelled")
        self._reader.expect()
        reused, self._reused = self._reused, True
        self._sent = 0
        try:
            early = self._send_request(head, body, buffer)
        except OSError as error:
            self._raise_if_stale(reused=reused)
            return self._last_words(error), False
        try:
            answer = self._receive(early)
        except ConnectionError:
            self._raise_if_stale(reused=reused)
            raise
        return answer, answer.keep_alive and not early

    def _raise_if_stale(self, *, reused: bool) -> None:
        """Raise StaleConnectionError if the store had closed a kept connection unseen.

        One that took more than a buffer's worth was alive: what broke it then is a failure like
        any other, for the retry policy and its events.
        """
        untouched = not self._reader.begun and self._sent <= BUFFER
        if reused and untouched and not self._cancelled:
            raise StaleConnectionError("closed while idle") from None

    def _handshake(self) -> None:
        if self._connected:
            return
        self._socket.settimeout(self._origin.connect_timeout)
        context = self._origin.context
        if context is not None:
            # The handshake is made here, under the connect timeout, and on the socket that
            # `cancel` shuts down: wrapping takes the descriptor away from the raw one.
            wrapped = context.wrap_socket(
                self._raw, server_hostname=self._origin.host, do_handshake_on_connect=False
            )
            self._socket = wrapped
            wrapped.do_handshake()
        self._connected = True

    def _send_request(self, head: bytes, body: Body, buffer: memoryview) -> bytes:
        """Send head and body; return what the store says before it has them all, or b""."""
        # Never blocked in a send: only so is an early answer noticed, and a stall told from a slow
        # store that still reads.
        self._socket.settimeout(0)
        if _SENDFILE and isinstance(body, FileBody) and self._origin.context is None:
            return self._send_spans(head, body.spans(buffer))
        blocks = body.blocks(buffer)
        first = next(blocks, memoryview(b""))
        # Head and first bytes leave in one write, with TLS in one record.
        joined = first[:_JOINED]
        early = self._send(memoryview(head + joined)) or self._send(first[len(joined) :])
        for block in blocks:
            early = early or self._answer_begun() or self._send(block)
            if early:
                break
        return early

    def _send_spans(self, head: bytes, spans: Iterator[Span]) -> bytes:
        # MSG_MORE: the head leaves with the first bytes of the body.
        early = self._send(memoryview(head), socket.MSG_MORE)
        for span in spans:
            early = early or self._answer_begun() or self._send_span(span)
            if early:
                break
        return early

    def _send(self, block: memoryview, flags: int = 0) -> bytes:
        while block:
            try:
                # An SSL socket takes no flags.
                sent = self._socket.send(block, flags) if flags else self._socket.send(block)
            except (BlockingIOError, ssl.SSLWantWriteError):
                early = self._wait(select.POLLIN | select.POLLOUT)
                if early:
                    return early
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            else:
                self._sent += sent
                block = block[sent:]
        return b""

    def _send_span(self, span: Span) -> bytes:
        offset, end = span.offset, span.offset + span.size
        while offset < end:
            try:
                sent = os.sendfile(self._socket.fileno(), span.descriptor, offset, end - offset)
            except BlockingIOError:
                early = self._wait(select.POLLIN | select.POLLOUT)
                if early:
                    return early
                continue
            if not sent:
                # The file has become shorter; the body finds out when asked for more.
                break
            self._sent += sent
            offset += sent
        return b""

    def _wait(self, events: int) -> bytes:
        """Wait until the socket is ready; return what the store has said meanwhile, or b""."""
        self._poll.modify(self._raw_fd, events)
        try:
            ready = self._poll.poll(self._stall * 1000)
        finally:
            self._poll.modify(self._raw_fd, select.POLLIN)
        if not ready:
            raise TimeoutError("no byte moved")
        return self._answer_begun()

    def _answer_begun(self) -> bytes:
        """Return what the store says before it has the whole body, b"" if it says nothing."""
        if not self._poll.poll(0):
            return b""
        try:
            data = self._socket.recv(_RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError):
            # Readable need not mean an answer: TLS sends session tickets.
            return b""
        if not data:
            raise ConnectionResetError("closed by the store")
        return data

    def _receive(self, data: bytes) -> Answer:
        self._socket.settimeout(self._response)
        try:
            while True:
                answer = self._reader.feed(data) if data else None
                if answer is not None:
                    return answer
                data = self._socket.recv(_RECEIVE)
                if not data:
                    break
        except MalformedAnswerError as error:
            raise ConnectionError(f"malformed answer: {error}") from error
        answer = self._reader.end()
        if answer is None:
            raise ConnectionResetError("closed by the store")
        return answer

    def _last_words(self, error: OSError) -> Answer:
        """Return the answer of a store that stopped reading, or raise why sending failed."""
        if self._cancelled or isinstance(error, TimeoutError):
            raise error
        try:
            return self._receive(b"")
        except OSError:
            raise error from None


class LargeSender:
    """Sends large bodies over pooled connections, each by a worker thread.

    Args:
        origin: where to.
        workers: requests in flight at most.
        stall_timeout, response_timeout: seconds.
    """

    def __init__(
        self, origin: Origin, workers: int, stall_timeout: float, response_timeout: float
    ) -> None:
        self._origin = origin
        self._stall = stall_timeout
        self._response = response_timeout
        self._pool: Pool[LargeConnection] = Pool()
        self._buffers: list[memoryview] = []
        self._dials: deque[asyncio.Task[socket.socket]] = deque()
        self._busy = 0
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="s3-uploader-wire")

    async def exchange(self, head: bytes, body: Body) -> Answer:
        """Send a request and return its answer.

        Raises:
            OSError: connecting failed, the connection broke, or nothing moved for too long.
            SourceError: from the body.
        """
        kept = self._pool.take()
        if kept is not None:
            try:
                return await self._use(kept, head, body)
            except StaleConnectionError:
                pass
        raw = await (self._dials.popleft() if self._dials else self._origin.dial())
        fresh = LargeConnection(raw, self._origin, self._stall, self._response)
        return await self._use(fresh, head, body)

    def open_ahead(self, wanted: int) -> None:
        """Begin to open connections, so that there are `wanted` with those in use and idle."""
        for _ in range(wanted - self._busy - len(self._pool) - len(self._dials)):
            self._dials.append(asyncio.create_task(self._origin.dial()))

    def drop_ahead(self) -> None:
        """Give up what `open_ahead` began and nothing has taken: no more parts are to be sent."""
        while self._dials:
            dial = self._dials.popleft()
            dial.cancel()
            dial.add_done_callback(_close_opened)

    async def close(self) -> None:
        """Close every connection and end the threads."""
        dials = list(self._dials)
        self.drop_ahead()
        await asyncio.gather(*dials, return_exceptions=True)
        self._pool.close()
        await to_thread.run_sync(self._executor.shutdown)

    async def _use(self, connection: LargeConnection, head: bytes, body: Body) -> Answer:
        buffer = self._buffers.pop() if self._buffers else memoryview(bytearray(BUFFER))
        loop = asyncio.get_running_loop()
        self._busy += 1
        work = loop.run_in_executor(self._executor, connection.exchange, head, body, buffer)
        try:
            answer, reusable = await asyncio.shield(work)
        except asyncio.CancelledError:
            self.drop_ahead()
            connection.cancel()
            await _wait_until_free(work)
            connection.close()
            raise
        except BaseException:
            connection.close()
            self._buffers.append(buffer)
            raise
        finally:
            self._busy -= 1
        self._buffers.append(buffer)
        if reusable:
            self._pool.give_back(connection)
        else:
            connection.close()
        return answer


def _close_opened(dial: "asyncio.Task[socket.socket]") -> None:
    if not dial.cancelled() and dial.exception() is None:
        dial.result().close()


async def _wait_until_free(work: "asyncio.Future[tuple[Answer, bool]]") -> None:
    with anyio.move_on_after(_FREE_SECONDS, shield=True):
        await asyncio.wait([work])
    if work.done() and not work.cancelled():
        # Retrieved, so that asyncio does not report an exception nobody asked for.
        work.exception()
