"""The typed report: a fold over the events of one upload."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from s3_uploader.errors import Param, UploadFailedError
from s3_uploader.events import (
    EntrySkipped,
    Event,
    FileFailed,
    FileUploaded,
    UploadFailed,
    UploadFinished,
    Verified,
)
from s3_uploader.messages import Language, text


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOutcome:
    """How one file ended.

    Attributes:
        name: path below the uploaded directory, or the file's name.
        key: object key.
        size: bytes.
        seconds: from taking the file up to its end.
        etag, parts, verified_by: of the committed object; "", 0 and "none" for a failure.
        error: message code, "" for success; `params` are its parameters.
    """

    name: str
    key: str
    size: int
    seconds: float
    etag: str = ""
    parts: int = 0
    verified_by: Verified = "none"
    error: str = ""
    params: Mapping[str, Param] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the object is committed."""
        return not self.error

    def message(self, language: Language = "en") -> str:
        """Return why the file failed, in `language`; "" for success."""
        return text(language, self.error, self.params) if self.error else ""

    def raise_for_failure(self) -> None:
        """Raise UploadFailedError if the file failed."""
        if not self.ok:
            raise UploadFailedError("upload.failed_file", name=self.name, reason=self.message())


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReport:
    """How an upload ended.

    Attributes:
        success, failed: numbers of files.
        size: bytes committed.
        seconds: wall-clock time of the upload.
        files: the outcome of every file in order of completion; only the failures where the
            upload was asked not to keep the others.
        skipped: names of links that were not followed because they lead back to their parents.
    """

    success: int
    failed: int
    size: int
    seconds: float
    files: tuple[FileOutcome, ...]
    skipped: tuple[str, ...]

    @property
    def total(self) -> int:
        """Number of files found."""
        return self.success + self.failed

    @property
    def ok(self) -> bool:
        """Whether every file is committed."""
        return not self.failed

    @property
    def failures(self) -> tuple[FileOutcome, ...]:
        """The outcomes that are failures."""
        return tuple(file for file in self.files if not file.ok)

    def raise_for_failures(self) -> None:
        """Raise UploadFailedError, naming the first failure, if any file failed."""
        for first in self.failures[:1]:
            raise UploadFailedError(
                "upload.failed_files",
                failed=self.failed,
                total=self.total,
                name=first.name,
                reason=first.message(),
            )


class ReportBuilder:
    """A consumer that folds the events of one upload into an `UploadReport`.

    Args:
        keep_files: keep the outcome of every file; otherwise only of those that failed, so that
            memory does not grow with the number of files.
    """

    def __init__(self, *, keep_files: bool = True) -> None:
        self._keep_files = keep_files
        self._files: list[FileOutcome] = []
        self._skipped: list[str] = []
        self._success = 0
        self._failed = 0
        self._size = 0
        self._seconds = 0.0
        self.refusal: UploadFailed | None = None

    def __call__(self, event: Event) -> None:
        """Fold the event in."""
        match event:
            case FileUploaded():
                self._success += 1
                self._size += event.size
                if self._keep_files:
                    self._files.append(_success(event))
            case FileFailed():
                self._failed += 1
                self._files.append(_failure(event))
            case EntrySkipped():
                self._skipped.append(event.name)
            case UploadFailed():
                self.refusal = event
            case UploadFinished():
                self._seconds = event.seconds
            case _:
                pass

    def report(self) -> UploadReport:
        """Return the report of what was consumed so far."""
        return UploadReport(
            success=self._success,
            failed=self._failed,
            size=self._size,
            seconds=self._seconds,
            files=tuple(self._files),
            skipped=tuple(self._skipped),
        )


def _success(event: FileUploaded) -> FileOutcome:
    return FileOutcome(
        name=event.name,
        key=event.key,
        size=event.size,
        seconds=event.seconds,
        etag=event.etag,
        parts=event.parts,
        verified_by=event.verified_by,
    )


def _failure(event: FileFailed) -> FileOutcome:
    return FileOutcome(
        name=event.name,
        key=event.key,
        size=event.size,
        seconds=event.seconds,
        error=event.code,
        params=event.params,
    )
