"""Read an HTTP/1.1 answer with httptools, from bytes as they come."""

import html
import re
from dataclasses import dataclass

import httptools

_MAX_HEAD = 64 * 1024
_MAX_BODY = 4 * 1024 * 1024
"""A page of 1,000 listed parts is about 250 KiB."""

_CONTINUE_END = 200
"""Statuses below this one announce another answer."""


class MalformedAnswerError(Exception):
    """The peer does not speak HTTP, or too much of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names in lower case, `body` cut at 4 MiB."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    keep_alive: bool

    def header(self, name: bytes) -> str:
        """Return a header's value, "" if absent."""
        return self.headers.get(name, b"").decode("latin-1")

    def text(self, element: bytes) -> str:
        """Return the text of the first XML element of that name in the body, "" if absent."""
        found = re.search(rb"<%b>([^<]*)</%b>" % (element, element), self.body)
        return html.unescape(found[1].decode("utf-8", "replace")) if found else ""


class AnswerReader:
    """Turns what a connection receives into one answer per request.

    Call `expect` before each request, `feed` with what arrives until it returns an answer, and
    `end` when the peer closes.
    """

    def __init__(self) -> None:
        self._bodiless = False
        self._parser = httptools.HttpResponseParser(self)
        self.expect()

    def expect(self, *, bodiless: bool = False) -> None:
        """Forget the last answer; the next one may come.

        `bodiless`: it answers a HEAD, and ends with its headers whatever they say of a body.
        """
        if self._bodiless:
            # The parser still waits for the body the last headers announced.
            self._parser = httptools.HttpResponseParser(self)
        self._bodiless = bodiless
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_size = 0
        self._fed = 0
        self._answer: Answer | None = None
        self.begun = False

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes in and return the answer once it is whole.

        Raises:
            MalformedAnswerError: not HTTP, or headers over 64 KiB.
        """
        self.begun = True
        self._fed += len(data)
        if self._answer is not None:
            raise MalformedAnswerError("bytes after the answer")
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise MalformedAnswerError(type(error).__name__) from error
        if not self._status and self._fed > _MAX_HEAD:
            raise MalformedAnswerError("headers too long")
        return self._answer

    def end(self) -> Answer | None:
        """Return the answer if the peer's closing is what ends it, None if it is cut short."""
        framed = b"content-length" in self._headers or b"transfer-encoding" in self._headers
        if self._status and not framed:
            return Answer(self._status, self._headers, b"".join(self._body), keep_alive=False)
        return None

    # Called by httptools.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Note the status."""
        self._status = self._parser.get_status_code()
        if self._bodiless and self._status >= _CONTINUE_END:
            self._finish()

    def on_body(self, data: bytes) -> None:
        """Keep the body's beginning."""
        if self._body_size < _MAX_BODY:
            self._body.append(data[: _MAX_BODY - self._body_size])
            self._body_size += len(data)

    def on_message_complete(self) -> None:
        """Make the answer, unless it only announces another."""
        if self._status < _CONTINUE_END:
            self._status, self._headers = 0, {}
            return
        if self._answer is None:
            self._finish()

    def _finish(self) -> None:
        keep_alive = self._parser.should_keep_alive()
        self._answer = Answer(self._status, self._headers, b"".join(self._body), keep_alive)
