"""Events: what happened, as frozen values in the past tense; workers report nothing else.

`call` numbers the call (one `upload_file`, one `verify_directory`, …), `file` the file within the
call, `at` is `time.monotonic()` in seconds. Sizes are bytes. `code` and `params` are a message of
`s3_uploader.messages`. Every number a user sees is a fold over these events.

A call that is not cancelled emits `CallStarted` first and `CallFinished` last, whatever its kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from s3_uploader.errors import Param

Evidence = Literal["etag-md5", "crc64nvme", "content", "size", "none"]
"""What proves that an object holds the file's bytes: its ETag, a checksum that the store verified,
the bytes read back; or merely equal sizes, or nothing."""

CallKind = Literal[
    "upload_file",
    "upload_directory",
    "verify_file",
    "verify_directory",
    "list_uploads",
    "abort_upload",
]
"""What a call was asked to do, by which consumers decide what to show."""

Lane = Literal["boto", "wire", "memory"]
VerifyResult = Literal["same", "different", "missing", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent:
    """The fields of every event: its call, and when the event was emitted."""

    call: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PartEvent(CallEvent):
    """An event of a part of a file."""

    file: int
    part: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEvent(CallEvent):
    """An event of a file, with the file's number in the call, its name, key and size in bytes."""

    file: int
    name: str
    key: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(CallEvent):
    """A call began; nothing has been sent yet.

    `source` is the local path, "" where the call has none; `target` is a key or a key prefix.
    If the store could not be opened, endpoint, region and bucket are the profile's.
    """

    kind: CallKind
    source: str
    target: str
    endpoint: str
    region: str
    bucket: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFinished(CallEvent):
    """The totals are known: `files` counts the files that will succeed or fail.

    `linked` files were found through a symbolic link, `outside` of which are outside the directory.
    """

    files: int
    size: int
    linked: int = 0
    outside: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySkipped(CallEvent):
    """A link was skipped on purpose: it leads back to its own parent, or `symlinks` excludes it."""

    name: str
    code: str
    params: Mapping[str, Param]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStarted(FileEvent):
    """A worker opened the file; `size` is the file's size at that moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesSent(PartEvent):
    """The current attempt of a part has handed `sent` bytes to the network.

    `sent` is absolute, so a new attempt starts again from a smaller number. An object that is sent
    with one request is its own part 1. Small files have no such event, only the one of their end.
    """

    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReused(PartEvent):
    """The store already had this part of `size` bytes, which are the file's."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRetried(FileEvent):
    """An attempt failed; the next follows after `delay` seconds."""

    operation: str
    part: int | None
    attempt: int
    delay: float
    code: str
    params: Mapping[str, Param]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUploaded(FileEvent):
    """The object is committed, and `verified_by` says what proves it.

    `reused` is how many of the object's bytes the store already had from an earlier upload.
    """

    etag: str
    parts: int
    verified_by: Evidence
    lane: Lane
    seconds: float
    reused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFailed(FileEvent):
    """The upload of the file failed: no response says that the object is committed.

    At the key is an earlier object, or none, or one that cannot be trusted (codes "integrity.…").
    """

    code: str
    params: Mapping[str, Param]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUnknown(FileEvent):
    """It could not be determined whether the object is committed: no success, and no failure."""

    code: str
    params: Mapping[str, Param]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVerified(FileEvent):
    """A local file was compared with the store.

    `result` "failed" means that the two could not be compared; `code` and `params` say why.
    `verified_by` says what showed the result: the ETag, the object's bytes, or the sizes.
    """

    result: VerifyResult
    verified_by: Evidence
    code: str
    params: Mapping[str, Param]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(CallEvent):
    """A warning: something that the user should know and that is not fatal."""

    code: str
    params: Mapping[str, Param]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailed(CallEvent):
    """The call as a whole could not start or continue.

    `CallStarted` does not precede the event where the configuration was refused before any call.
    """

    kind: CallKind
    code: str
    params: Mapping[str, Param]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinished(CallEvent):
    """The last event of a call that was not cancelled."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsLost:
    """A subscriber of `Uploader.events` fell behind: `count` events were dropped here."""

    count: int


Event = (
    CallStarted
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
    | CallFailed
    | CallFinished
)
