"""The values a journal holds."""

from dataclasses import dataclass, field
from typing import NamedTuple

from s3_uploader.checksums import Checksum
from s3_uploader.events import Evidence
from s3_uploader.source import Fingerprint


class Place(NamedTuple):
    """Where an object is."""

    endpoint: str
    bucket: str
    key: str


class RunKey(NamedTuple):
    """A directory upload, whenever it runs: from where to where."""

    endpoint: str
    bucket: str
    prefix: str
    root: str


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part the store has taken.

    Attributes:
        number: from 1.
        size: bytes.
        md5: hex MD5 of what was read, "" if unknown.
        etag: what the store named.
        verified_by: what proved it.
        checksum: that of what was read, None if none was computed.
    """

    number: int
    size: int
    md5: str
    etag: str
    verified_by: Evidence
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """A multipart upload.

    Attributes:
        row: its number in the journal.
        key: object key.
        upload_id: "" while the store's response to its creation has not come.
        token: what the object's metadata will carry.
        path, fingerprint: the source.
        part_size: bytes.
        begun: seconds since 1970.
        algorithm: whose checksums the store expects with the parts, "" for none.
        options: `PutOptions.text` of what the object is created with, "" if unknown.
        parts: the parts sent, by number.
    """

    row: int
    key: str
    upload_id: str
    token: str
    path: str
    fingerprint: Fingerprint
    part_size: int
    begun: float
    algorithm: str = ""
    options: str = ""
    parts: dict[int, SentPart] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommittedFile:
    """A file of a directory run that is committed.

    Attributes:
        etag, parts, verified_by: of its object.
        renumbered: the file there now has another inode or device number. After a restart it may
            be the same file anyway; nothing recorded says so.
    """

    etag: str
    parts: int
    verified_by: Evidence
    renumbered: bool = False
