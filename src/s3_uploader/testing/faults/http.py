"""Heads and bodies of HTTP/1.1 messages as they pass: read piece by piece, never kept whole."""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple, Self

import httptools

CHUNK = 256 * 1024
"""Most bytes of a body, and of a head, that are held at once."""

_END_OF_HEAD = b"\r\n\r\n"


class MalformedError(Exception):
    """The peer does not speak HTTP/1.1."""


@dataclass(slots=True)
class Head:
    """The head of a message; its repr shows nothing, for it holds signatures and tokens.

    Attributes:
        raw: all its bytes, the blank line included.
        start: the first line.
        headers: names and values in their order; changes show in `encode` only.
        method, url: of a request, "" and b"" in a response.
        status: of a response, 0 in a request.
    """

    raw: bytes = field(repr=False)
    start: bytes = field(repr=False)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list, repr=False)
    method: str = field(default="", repr=False)
    url: bytes = field(default=b"", repr=False)
    status: int = field(default=0, repr=False)

    def get(self, name: str) -> str:
        """Return a header's value, "" if absent."""
        wanted = name.lower().encode()
        found = (value for key, value in self.headers if key.lower() == wanted)
        return next(found, b"").decode("latin-1")

    def drop(self, prefix: str) -> None:
        """Remove every header whose name begins with `prefix`."""
        begin = prefix.lower().encode()
        self.headers = [item for item in self.headers if not item[0].lower().startswith(begin)]

    def set(self, name: str, value: str) -> None:
        """Give a header a value, in its place or at the end."""
        wanted = name.lower().encode()
        names = [key.lower() for key, _ in self.headers]
        at = names.index(wanted) if wanted in names else len(names)
        self.headers[at : at + 1] = [(name.encode(), value.encode("latin-1"))]

    def encode(self) -> bytes:
        """Return the head as bytes, with the headers as they are now."""
        lines = [self.start, *(name + b": " + value for name, value in self.headers)]
        return b"\r\n".join(lines) + _END_OF_HEAD

    @property
    def keep_alive(self) -> bool:
        """Whether the sender will use the connection again."""
        return b"HTTP/1.1" in self.start and "close" not in self.get("connection").lower()

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks, its size unknown."""
        return "chunked" in self.get("transfer-encoding").lower()

    @property
    def length(self) -> int | None:
        """The body's size in bytes as announced, None if it is not."""
        value = self.get("content-length")
        return int(value) if value and not self.chunked else None

    @property
    def framed(self) -> bool:
        """Whether it says where the body ends; otherwise the end of the connection does."""
        return self.chunked or bool(self.get("content-length"))


class _Collector:
    """Collects what httptools calls back with."""

    def __init__(self, head: Head) -> None:
        self._head = head

    def on_url(self, url: bytes) -> None:
        self._head.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head.headers.append((name, value))


async def read_head(reader: asyncio.StreamReader, *, response: bool = False) -> Head | None:
    """Read the head of a request, or of a `response`; None if the peer closed before it.

    Raises:
        MalformedError: not HTTP, or longer than 256 KiB.
        OSError, asyncio.IncompleteReadError: the connection broke.
    """
    try:
        raw = await reader.readuntil(_END_OF_HEAD)
    except asyncio.LimitOverrunError as error:
        raise MalformedError("head too long") from error
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    head = Head(raw, raw.partition(b"\r\n")[0])
    kind = httptools.HttpResponseParser if response else httptools.HttpRequestParser
    parser = kind(_Collector(head))
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise MalformedError(type(error).__name__) from error
    if isinstance(parser, httptools.HttpRequestParser):
        head.method = parser.get_method().decode("ascii")
    else:
        head.status = parser.get_status_code()
    return head


def status_line(status: int) -> bytes:
    """Return the first line of a response."""
    known = status in set(HTTPStatus)
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase if known else 'Fault'}".encode()


class Piece(NamedTuple):
    """A piece of a body: `data` between the bytes that frame it, both b"" unless chunked."""

    lead: bytes
    data: bytes
    trail: bytes


class BodyReader:
    """Reads the body that follows a head.

    Attributes:
        offset: bytes of data handed out so far, framing not counted.
        size: bytes of data in all, None while unknown.
        ended: there is no more.
    """

    def __init__(self, reader: asyncio.StreamReader, head: Head, *, bodiless: bool = False) -> None:
        self._reader = reader
        self._chunked = head.chunked and not bodiless
        self.offset = 0
        self.size = head.length
        if bodiless or (self.size is None and not self._chunked and not head.status):
            self.size = 0
        self._left = self.size or 0
        self.ended = self.size == 0

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return a reader of a body that is in memory."""
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return cls(reader, Head(b"", b"", [(b"Content-Length", b"%d" % len(data))], status=200))

    @property
    def until_close(self) -> bool:
        """Whether only the end of the connection ends the body."""
        return self.size is None and not self._chunked

    async def read(self, most: int = CHUNK) -> Piece:
        """Return what comes next, with at most `most` bytes of data; call only until `ended`.

        Raises:
            MalformedError: a chunk has no size.
            OSError, asyncio.IncompleteReadError: the connection broke.
        """
        lead = trail = b""
        if self._chunked and not self._left:
            lead = await self._line()
            try:
                self._left = int(lead.split(b";")[0], 16)
            except ValueError as error:
                raise MalformedError("no chunk size") from error
            if not self._left:
                self.ended = True
                return Piece(lead, b"", await self._trailers())
        data = await self._reader.read(min(most, CHUNK if self.until_close else self._left))
        self.offset += len(data)
        if self.until_close:
            self.ended = not data
            return Piece(b"", data, b"")
        if not data:
            raise asyncio.IncompleteReadError(b"", self._left)
        self._left -= len(data)
        if self._chunked and not self._left:
            trail = await self._reader.readexactly(2)
        self.ended = not self._chunked and not self._left
        return Piece(lead, data, trail)

    async def whole(self) -> bytes:
        """Return all that is left, without framing: for responses known to be small."""
        pieces = []
        while not self.ended:
            pieces.append((await self.read()).data)
        return b"".join(pieces)

    async def skip(self) -> None:
        """Read to the end and keep nothing."""
        while not self.ended:
            await self.read()

    async def _trailers(self) -> bytes:
        lines = [await self._line()]
        while lines[-1] != b"\r\n":
            lines.append(await self._line())
        return b"".join(lines)

    async def _line(self) -> bytes:
        try:
            return await self._reader.readuntil(b"\r\n")
        except asyncio.LimitOverrunError as error:
            raise MalformedError("line too long") from error
