"""Where the bytes of one object come from."""

from collections.abc import Callable
from typing import Protocol

from s3_uploader.checksums import Digests
from s3_uploader.source.fingerprint import Fingerprint
from s3_uploader.store.body import Body, BytesBody


def no_progress(_sent: int) -> None:
    """Ignore the progress of a pass."""


class SourceBody(Body, Protocol):
    """A range of a source, as a body that can be sent again."""

    async def prepare(self, *, md5: bool = False) -> None:
        """Compute what the request carries ahead of the body: its checksum, and Content-MD5.

        Raises:
            SourceError: the source cannot be read, or has changed.
        """
        ...

    async def hash(self) -> str:
        """Read the range and return its MD5, in hex; raises as `prepare`."""
        ...


class Source(Protocol):
    """The bytes of one object, of known size and readable again.

    Attributes:
        path: what messages and the journal name it by.
        size: bytes, as last measured.
        identity: what the journal compares; None before `open`.
    """

    path: str
    size: int

    @property
    def identity(self) -> Fingerprint | None:
        """What shows that it is still the same; None before `open`."""
        ...

    async def open(self) -> None:
        """Measure it, and see that it can be read.

        Raises:
            SourceError: it cannot be.
        """
        ...

    async def read(self, limit: int, digests: Digests) -> BytesBody | None:
        """Return the whole as a body, None if it has more than `limit` bytes.

        The source need not be open; its `size` stays as it was measured.

        Raises:
            SourceError: it cannot be read, or changed while it was read.
            ResourceError: this process lacks a thread, a descriptor or memory for it.
        """
        ...

    def body(
        self,
        offset: int,
        size: int,
        digests: Digests,
        progress: Callable[[int], None] = no_progress,
    ) -> SourceBody:
        """Return a range of the open source.

        Args:
            offset: where the range begins, in bytes.
            size: its bytes.
            digests: what is computed of it.
            progress: called on the event loop with the bytes of a pass handed on so far.
        """
        ...

    async def check(self) -> None:
        """Raise SourceError if it is gone, or no longer what it was when it was opened."""
        ...


async def source_md5(source: Source) -> str:
    """Return the MD5 of an open source, in hex.

    Raises:
        SourceError: it cannot be read, or has changed.
    """
    return await source.body(0, source.size, Digests(md5=True)).hash()
