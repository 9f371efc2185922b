"""What a store says of objects, parts and uploads. ETags are given without quotes."""

from collections.abc import Mapping
from dataclasses import dataclass

from s3_uploader.checksums import Checksum


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the store says it stored.

    Attributes:
        etag: without quotes; "" only where the response to a Complete does not say it.
        opaque: the response itself says that the ETag is no MD5 (encryption with SSE-KMS or SSE-C).
        checksums: those of what it stored, as far as it names them.
    """

    etag: str
    opaque: bool = False
    checksums: tuple[Checksum, ...] = ()

    def checksum(self, algorithm: str) -> str:
        """Return the checksum of an algorithm, "" if the store did not name it."""
        return next((value for name, value in self.checksums if name == algorithm), "")


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """A part as CompleteMultipartUpload wants it."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part as ListParts shows it; `size` is bytes."""

    number: int
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object as HEAD shows it.

    Attributes:
        size: bytes, None if it does not say.
        etag: without quotes, never "".
        metadata: the user's, names in lower case.
        opaque: as in `Receipt`.
        age: seconds since it was last modified, by the store's clock and to the second; None if it
            does not say.
    """

    key: str
    size: int | None
    etag: str
    metadata: Mapping[str, str]
    opaque: bool = False
    age: float | None = None


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """A multipart upload that is neither completed nor aborted.

    `initiated` is seconds since 1970 by the store's clock, 0 if it does not say.
    """

    key: str
    upload_id: str
    initiated: float = 0.0


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object as ListObjectsV2 shows it.

    Attributes:
        size: bytes.
        etag: without quotes, "" if it does not say.
        modified: seconds since 1970 by the store's clock, 0 if it does not say.
    """

    key: str
    size: int
    etag: str = ""
    modified: float = 0.0


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of a listing, usually of 1,000 objects and prefixes together.

    Attributes:
        objects: in the order of the store.
        prefixes: what further keys begin with, up to and with the delimiter, each once; empty
            without a delimiter.
    """

    objects: list[ListedObject]
    prefixes: list[str]
