"""What happened, as frozen values in the past tense: the only thing workers tell anyone.

`upload` numbers the call (one `upload_file` or `upload_directory`), `file` the file within it,
`at` is `time.monotonic()` in seconds. Sizes are bytes. `code` and `params` are a message of
`s3_uploader.messages`. Every number a user sees is a fold over these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from s3_uploader.errors import Param

Verified = Literal["etag-md5", "crc64nvme", "size", "none"]
Lane = Literal["boto", "wire", "memory"]
Match = Literal["same", "different", "missing", "failed"]
Proof = Literal["etag-md5", "content", "size", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    upload: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStarted(_Event):
    """An upload began; nothing was sent yet. `target` is a key or a key prefix."""

    kind: Literal["file", "directory"]
    source: str
    target: str
    endpoint: str
    region: str
    bucket: str
    runpod: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFinished(_Event):
    """The totals are known: `files` counts what will succeed or fail.

    `linked` of them are behind a symbolic link, and `outside` of those lie outside the directory.
    """

    files: int
    size: int
    linked: int = 0
    outside: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySkipped(_Event):
    """A link was left out on purpose: it leads back to its own parent, or `symlinks` says so."""

    name: str
    code: str
    params: Mapping[str, Param]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStarted(_Event):
    """A worker took the file up; `size` is what it measured when it opened the file."""

    file: int
    name: str
    key: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesSent(_Event):
    """The current attempt of a part has handed `sent` bytes to the network.

    Absolute, so a new attempt starts again from a smaller number. Part 1 is the whole object
    where it is sent with one request. Small files have none of these, only their end.
    """

    file: int
    part: int
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReused(_Event):
    """The store already held this part, `size` bytes, and its bytes are the file's own."""

    file: int
    part: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRetried(_Event):
    """An attempt failed; the next follows after `delay` seconds."""

    file: int
    key: str
    operation: str
    part: int | None
    attempt: int
    delay: float
    code: str
    params: Mapping[str, Param]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUploaded(_Event):
    """The object is committed, and `verified_by` says what proves it.

    `reused` is how many of its bytes an earlier upload had brought to the store.
    """

    file: int
    name: str
    key: str
    size: int
    etag: str
    parts: int
    verified_by: Verified
    lane: Lane
    seconds: float
    reused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFailed(_Event):
    """The upload of the file failed: no response says that the object is committed.

    What is at its key is an earlier object or none, or cannot be trusted (codes "integrity.…").
    """

    file: int
    name: str
    key: str
    size: int
    code: str
    params: Mapping[str, Param]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUnknown(_Event):
    """Whether the object is committed could not be found out: neither success nor failure."""

    file: int
    name: str
    key: str
    size: int
    code: str
    params: Mapping[str, Param]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVerified(_Event):
    """A local file was compared with the store.

    `match` "failed" means that it could not be compared; `code` and `params` say why.
    `verified_by` says what told: the ETag, the object's bytes read back, or the sizes.
    """

    file: int
    name: str
    key: str
    size: int
    match: Match
    verified_by: Proof
    code: str
    params: Mapping[str, Param]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(_Event):
    """Something a user should know that stops nothing."""

    code: str
    params: Mapping[str, Param]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFailed(_Event):
    """The upload as a whole could not start or go on."""

    code: str
    params: Mapping[str, Param]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadFinished(_Event):
    """The last event of an upload that was not cancelled."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsLost:
    """A subscriber of `Uploader.events` fell behind: `count` events were dropped here."""

    count: int


Event = (
    UploadStarted
    | ScanFinished
    | EntrySkipped
    | FileStarted
    | BytesSent
    | PartReused
    | RequestRetried
    | FileUploaded
    | FileFailed
    | FileUnknown
    | FileVerified
    | Warned
    | UploadFailed
    | UploadFinished
)
