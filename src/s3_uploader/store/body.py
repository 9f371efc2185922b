"""Bytes on their way to a store."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from s3_uploader.checksums import Checksum


class Body(Protocol):
    """Bytes to send: of known size, and readable from the start as often as needed."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    @property
    def md5(self) -> str:
        """Hex MD5 of the last complete pass, "" if there is none."""
        ...

    @property
    def content_md5(self) -> str:
        """Hex MD5 that the request carries as Content-MD5, known before the pass; "" for none."""
        ...

    @property
    def checksum(self) -> Checksum | None:
        """Checksum that the request carries, None for none."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Start a pass from the first byte."""
        ...

    def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
        """Start a pass in a worker thread: read into `buffer`, yield the part of it filled."""
        ...


class Span(NamedTuple):
    """A piece of an open file: descriptor, offset and size in bytes."""

    descriptor: int
    offset: int
    size: int


@runtime_checkable
class FileBody(Body, Protocol):
    """A body that lies in a file, so that the kernel can send it without a copy through us."""

    def spans(self, buffer: memoryview) -> Iterator[Span]:
        """Start a pass in a worker thread: yield pieces to send before the next is asked for.

        `buffer` is for reading what has to be hashed.
        """
        ...


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body that is in memory already; its hex MD5, "" if unknown, and a checksum to send."""

    data: bytes
    md5: str = ""
    checksum: Checksum | None = None

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.data)

    @property
    def content_md5(self) -> str:
        """The same as `md5`: a wrong body is refused before it replaces an object."""
        return self.md5

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the data at once."""
        yield self.data

    def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
        """Yield the data at once."""
        del buffer
        yield memoryview(self.data)
