"""Parse an HTTP/1.1 response with httptools, from bytes as they come."""

import httptools

from s3_uploader.store.response import MAX_BODY, MAX_HEAD, Response, add_header

_CONTINUE_END = 200
"""Statuses below this one announce another response."""

_SUCCESS_END = 300

_CHUNK_FRAME = 32
"""Bytes around a chunk's data that are its size and line ends."""


class MalformedResponseError(Exception):
    """The peer does not speak HTTP, or too much of it."""


class ResponseParser:
    """Turns what a connection receives into one response per request, in bounded memory.

    Call `expect` before each request, `feed` with what arrives until it returns a response, and
    `end` when the peer closes. Of a streamed response, `head` once it has come, continue to `feed`,
    and `take` the pieces of its body, until it is `complete`.
    """

    def __init__(self) -> None:
        self._bodiless = False
        self._parser = httptools.HttpResponseParser(self)
        self.expect()

    def expect(self, *, bodiless: bool = False, streamed: bool = False) -> None:
        """Forget the last response; the next one may come.

        Args:
            bodiless: it is that to a HEAD, and ends with its headers whatever they say of a body.
            streamed: of a success, the headers are the response, and its body is of any size.
        """
        if self._bodiless:
            # The parser still waits for the body the last headers announced.
            self._parser = httptools.HttpResponseParser(self)
        self._bodiless = bodiless
        self._streamed = streamed
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_size = 0
        self._chunks = 0
        self._fed = 0
        self._response: Response | None = None
        self.head: Response | None = None
        self.begun = False
        self.complete = False

    def feed(self, data: bytes) -> Response | None:
        """Take bytes in and return the response once it is whole, or its headers are.

        Raises:
            MalformedResponseError: not HTTP, or too long.
        """
        self.begun = True
        self._fed += len(data)
        if self.complete:
            raise MalformedResponseError("bytes after the response")
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise MalformedResponseError(type(error).__name__) from error
        if not self.complete:
            self._check_size()
        return self._response

    def take(self) -> list[bytes]:
        """Return the pieces of a streamed body that have come since the last call."""
        pieces, self._body = self._body, []
        return pieces

    def end(self) -> Response | None:
        """Return the response if the peer's closing is what ends it, None if it is cut short."""
        framed = b"content-length" in self._headers or b"transfer-encoding" in self._headers
        if self._status and not framed:
            return Response(self._status, self._headers, b"".join(self._body), keep_alive=False)
        return None

    def _check_size(self) -> None:
        """Refuse what would otherwise grow without end, here or in the parser's own buffers."""
        around = self._fed - self._body_size - _CHUNK_FRAME * self._chunks
        if around > MAX_HEAD:
            raise MalformedResponseError(f"headers or trailers of over {MAX_HEAD} bytes")
        if self._response is None and self._body_size > MAX_BODY:
            raise MalformedResponseError(f"a body of over {MAX_BODY} bytes")

    # Called by httptools.

    def on_message_begin(self) -> None:
        """Refuse a second response behind the first."""
        if self.complete:
            raise MalformedResponseError("bytes after the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        name = name.lower()
        if name in self._headers:
            add_header(self._headers, name, value)
        else:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        """Note the status."""
        self._status = self._parser.get_status_code()
        if self._bodiless and self._status >= _CONTINUE_END:
            self._finish()
        elif self._streamed and _CONTINUE_END <= self._status < _SUCCESS_END:
            self._respond(b"")
            self.head = self._response

    def on_chunk_header(self) -> None:
        """Count a chunk."""
        self._chunks += 1

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._body_size += len(data)
        if self._response is not None or self._body_size <= MAX_BODY:
            self._body.append(data)

    def on_message_complete(self) -> None:
        """Make the response, unless it only announces another."""
        if self._status < _CONTINUE_END:
            self._status, self._headers = 0, {}
            return
        self._finish()

    def _finish(self) -> None:
        if self._response is None:
            self._respond(b"".join(self._body))
        self.complete = True

    def _respond(self, body: bytes) -> None:
        keep_alive = self._parser.should_keep_alive()
        self._response = Response(self._status, self._headers, body, keep_alive)
