"""What a checksum is, and what an algorithm has to provide."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import NamedTuple, Protocol


class Checksum(NamedTuple):
    """A checksum of bytes.

    Attributes:
        algorithm: name of the algorithm, a key of `ALGORITHMS`.
        value: as its header writes it (base64).
    """

    algorithm: str
    value: str


class Digest(Protocol):
    """A checksum of bytes that come in pieces."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Add the next bytes."""
        ...

    def value(self) -> str:
        """Return the checksum of all bytes so far, as its header writes it."""
        ...


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A checksum algorithm that S3 requests can carry.

    Attributes:
        name: what settings, events and the journal call it.
        title: what messages call it.
        s3_name: what `x-amz-checksum-algorithm` calls it.
        s3_type: what `x-amz-checksum-type` calls the checksum of an object that was sent in parts.
            Only "FULL_OBJECT", that of its bytes, is served: Complete names no checksums of parts,
            which S3 demands for the other type (SHA-1, SHA-256).
        header: the header of a request and of a response that carries one.
        field: the same in XML documents and in botocore's parameters.
        library: the module that computes it; it need not be installed.
        extra: the extra that installs the library, "" for one of Python's own.
        new: starts a digest.
        combine: the checksum of pieces one after the other, from (checksum, bytes) of each.
    """

    name: str
    title: str
    s3_name: str
    header: str
    field: str
    library: str
    extra: str
    new: Callable[[], Digest]
    combine: Callable[[Iterable[tuple[str, int]]], str]
    s3_type: str = "FULL_OBJECT"

    @property
    def installed(self) -> bool:
        """Whether its library can be imported."""
        return find_spec(self.library) is not None

    def of(self, data: bytes | memoryview) -> Checksum:
        """Return the checksum of `data`."""
        digest = self.new()
        digest.update(data)
        return Checksum(self.name, digest.value())

    def combined(self, pieces: Iterable[tuple[Checksum | None, int]]) -> Checksum | None:
        """Return the checksum of the whole; None if one of its pieces has none of this algorithm.

        `pieces` are in order, each with its size in bytes.
        """
        values: list[tuple[str, int]] = []
        for checksum, size in pieces:
            if checksum is None or checksum.algorithm != self.name:
                return None
            values.append((checksum.value, size))
        return Checksum(self.name, self.combine(values))


@dataclass(frozen=True, slots=True)
class Digests:
    """What is computed of the bytes that are sent.

    Attributes:
        md5: MD5, to be compared with the ETag.
        checksum: the algorithm whose checksum each request carries, None for none.
    """

    md5: bool = False
    checksum: Algorithm | None = None
