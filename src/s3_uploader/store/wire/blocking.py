"""A blocking connection for one large body at a time, used by a worker thread.

Reading, hashing and sending all release the GIL; without TLS the kernel sends from the file itself.
"""

import errno
import os
import select
import socket
import ssl
import sys
import time
from collections.abc import Generator
from typing import ClassVar, cast

from s3_uploader.store.body import Body, FileBody, Span
from s3_uploader.store.response import Response
from s3_uploader.store.wire.dial import Origin
from s3_uploader.store.wire.parser import MalformedResponseError, ResponseParser
from s3_uploader.store.wire.small import StaleConnectionError

BUFFER = 256 * 1024
"""Bytes read, hashed and sent at a time by one worker: within a core's cache, and with 256 requests
in flight 64 MiB in all."""

_SENDFILE_REFUSED = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES}
)
"""What file systems (GPFS, FUSE) and sandboxes without sendfile say (sendfile(2), ERRORS)."""

_RECEIVE = 64 * 1024
_JOINED = 16 * 1024 - 1024
"""Bytes copied behind the head, so that both leave in one TLS record of at most 16 KiB."""


class Kernel:
    """Whether the kernel sends from the page cache: a sixth of the CPU of reading and sending."""

    sendfile: ClassVar[bool] = sys.platform == "linux"


class LargeConnection:
    """A blocking connection. Its methods run in a worker thread, except `cancel` and `close`."""

    def __init__(self, raw: socket.socket, origin: Origin, stall: float, response: float) -> None:
        self.opened_at = self.used_at = time.monotonic()
        self._raw = raw
        self._socket = raw
        self._origin = origin
        self._stall = stall
        self._response = response
        self._parser = ResponseParser()
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

    def exchange(self, head: bytes, body: Body, buffer: memoryview) -> tuple[Response, bool]:
        """Send a request; return the response, and whether the connection can be used again.

        Raises:
            OSError: the connection broke, or nothing moved for the time allowed.
            SourceError: from the body.
        """
        self._handshake()
        self._raise_if_cancelled()
        self._parser.expect()
        reused, self._reused = self._reused, True
        self._sent = 0
        try:
            early = self._send_request(head, body, buffer)
        except (ConnectionError, ssl.SSLError) as error:
            self._raise_if_stale(reused=reused)
            return self._final_response(error), False
        try:
            response = self._receive(early)
        except ConnectionError:
            self._raise_if_stale(reused=reused)
            raise
        return response, response.keep_alive and not early

    def _raise_if_cancelled(self) -> None:
        if self._cancelled:
            raise ConnectionAbortedError("cancelled")

    def _raise_if_stale(self, *, reused: bool) -> None:
        """Raise StaleConnectionError if the store had closed a kept connection unseen.

        One that took more than a buffer's worth was alive: what broke it then is a failure like
        any other, for the retry policy and its events.
        """
        untouched = not self._parser.begun and self._sent <= BUFFER
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
            # While it was being wrapped, `cancel` had no socket to shut down.
            self._raise_if_cancelled()
            wrapped.do_handshake()
        self._connected = True

    def _send_request(self, head: bytes, body: Body, buffer: memoryview) -> bytes:
        """Send head and body; return what the store says before it has them all, or b""."""
        # Never blocked in a send: only so is an early response noticed, and a stall distinguished
        # from a slow store that still reads.
        self._socket.settimeout(0)
        if Kernel.sendfile and isinstance(body, FileBody) and self._origin.context is None:
            return self._send_spans(head, body, buffer)
        blocks = body.blocks(buffer)
        first = next(blocks, memoryview(b""))
        # Head and first bytes leave in one write, with TLS in one record.
        joined = first[:_JOINED]
        early = self._send(memoryview(head + joined)) or self._send(first[len(joined) :])
        for block in blocks:
            early = early or self._early_response() or self._send(block)
            if early:
                break
        return early

    def _send_spans(self, head: bytes, body: FileBody, buffer: memoryview) -> bytes:
        # MSG_MORE: the head leaves with the first bytes of the body.
        early = self._send(memoryview(head), socket.MSG_MORE)
        spans = cast("Generator[Span]", body.spans(buffer))
        for span in spans:
            early = early or self._early_response() or self._send_span(span, spans, buffer)
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

    def _send_span(self, span: Span, spans: Generator[Span], buffer: memoryview) -> bytes:
        offset, end = span.offset, span.offset + span.size
        while offset < end and Kernel.sendfile:
            try:
                sent = os.sendfile(self._socket.fileno(), span.descriptor, offset, end - offset)
            except BlockingIOError:
                early = self._wait(select.POLLIN | select.POLLOUT)
                if early:
                    return early
                continue
            except ConnectionError:
                raise
            except OSError as error:
                if error.errno in _SENDFILE_REFUSED:
                    Kernel.sendfile = False
                break
            if not sent:
                # The file has become shorter; the body finds out when asked for more.
                return b""
            self._sent += sent
            offset += sent
        rest = Span(span.descriptor, offset, end - offset)
        return self._send_read(rest, spans, buffer)

    def _send_read(self, span: Span, spans: Generator[Span], buffer: memoryview) -> bytes:
        """Read a span and send it, where the kernel does not send from this file by itself."""
        offset, end = span.offset, span.offset + span.size
        while offset < end:
            try:
                count = os.preadv(span.descriptor, [buffer[: end - offset]], offset)
            except OSError as error:
                # The body knows whose error this is.
                spans.throw(error)
                raise
            if not count:
                break
            early = self._send(buffer[:count])
            if early:
                return early
            offset += count
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
        return self._early_response()

    def _early_response(self) -> bytes:
        """Return what the store says before it has the whole body, b"" if it says nothing."""
        if not self._poll.poll(0):
            return b""
        try:
            data = self._socket.recv(_RECEIVE)
        except (BlockingIOError, ssl.SSLWantReadError):
            # Readable need not mean a response: TLS sends session tickets.
            return b""
        if not data:
            raise ConnectionResetError("closed by the store")
        return data

    def _receive(self, data: bytes) -> Response:
        # One deadline for the whole: a response that drips must not hold the request for ever.
        deadline = time.monotonic() + self._response
        try:
            while True:
                response = self._parser.feed(data) if data else None
                if response is not None:
                    return response
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("no whole response")
                self._socket.settimeout(left)
                data = self._socket.recv(_RECEIVE)
                if not data:
                    break
        except MalformedResponseError as error:
            raise ConnectionError(f"malformed response: {error}") from error
        response = self._parser.end()
        if response is None:
            raise ConnectionResetError("closed by the store")
        return response

    def _final_response(self, error: OSError) -> Response:
        """Return the response of a store that stopped reading, or raise why sending failed."""
        if self._cancelled:
            raise error
        try:
            return self._receive(b"")
        except OSError:
            raise error from None
