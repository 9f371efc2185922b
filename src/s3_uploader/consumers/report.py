"""Report an upload as a typed value: a fold over its events."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from s3_uploader.errors import Param, UploadFailedError
from s3_uploader.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    EntrySkipped,
    Event,
    Evidence,
    FileFailed,
    FileUnknown,
    FileUploaded,
    ScanFinished,
)
from s3_uploader.messages import Language, Sentence, text

Status = Literal["committed", "failed", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOutcome:
    """The outcome of one file.

    Attributes:
        name: path below the uploaded directory, or the file's name.
        key: object key.
        size: bytes.
        seconds: from opening the file to its outcome.
        etag, parts, verified_by: of the committed object; "", 0 and "none" for a failure.
        reused: bytes of `size` that the store already had from an earlier upload.
        error: message code, "" for success; `params` are its parameters.
        unknown: whether it could not be determined that the object is committed; see `error`.
    """

    name: str
    key: str
    size: int
    seconds: float
    etag: str = ""
    parts: int = 0
    verified_by: Evidence = "none"
    reused: int = 0
    error: str = ""
    params: Mapping[str, Param] = field(default_factory=dict, repr=False)
    unknown: bool = False

    @property
    def status(self) -> Status:
        """How the file ended: "committed", "failed" or "unknown"."""
        if self.unknown:
            return "unknown"
        return "failed" if self.error else "committed"

    @property
    def ok(self) -> bool:
        """Whether the object is committed."""
        return not self.error

    def message(self, language: Language = "en") -> str:
        """Return why the file is not known to be committed, in `language`; "" for success."""
        return text(language, self.error, self.params) if self.error else ""

    def raise_for_failure(self) -> None:
        """Raise UploadFailedError unless the file is committed."""
        if not self.ok:
            code = "upload.unknown_file" if self.unknown else "upload.failed_file"
            raise UploadFailedError(code, name=self.name, reason=Sentence(self.error, self.params))


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReport:
    """The outcome of an upload.

    Attributes:
        success, failed, unknown: numbers of files that are committed, that are not, and of which
            that could not be determined (their outcomes say how to check later).
        size: bytes committed.
        reused: bytes of `size` that the store already had from earlier uploads; the others were
            sent now.
        seconds: wall-clock time of the upload.
        files: the outcome of every file in order of completion; without `keep_files` only of
            those that are not committed.
        skipped: names of links that were not followed because they lead back to their parents, or
            because `symlinks` excludes them.
        linked: number of files found behind symbolic links; `outside` of those lie outside the
            directory.
    """

    success: int
    failed: int
    size: int
    seconds: float
    files: tuple[FileOutcome, ...] = field(repr=False)
    skipped: tuple[str, ...] = field(repr=False)
    unknown: int = 0
    reused: int = 0
    linked: int = 0
    outside: int = 0

    @property
    def total(self) -> int:
        """Number of files found."""
        return self.success + self.failed + self.unknown

    @property
    def ok(self) -> bool:
        """Whether every file is committed."""
        return not self.failed and not self.unknown

    @property
    def failures(self) -> tuple[FileOutcome, ...]:
        """The outcomes that are not known to be committed."""
        return tuple(file for file in self.files if not file.ok)

    def raise_for_failures(self) -> None:
        """Raise UploadFailedError, naming the first, unless every file is committed."""
        for first in self.failures[:1]:
            raise UploadFailedError(
                "upload.failed_files",
                failed=self.failed + self.unknown,
                total=self.total,
                name=first.name,
                reason=Sentence(first.error, first.params),
            )


class ReportBuilder:
    """A consumer that folds the events of one upload into an `UploadReport`.

    Args:
        keep_files: keep the outcome of every file; otherwise only of those not committed, so that
            memory does not grow with the number of files.
    """

    def __init__(self, *, keep_files: bool = True) -> None:
        self._keep_files = keep_files
        self._files: list[FileOutcome] = []
        self._skipped: list[str] = []
        self._success = 0
        self._failed = 0
        self._unknown = 0
        self._size = 0
        self._reused = 0
        self._linked = 0
        self._outside = 0
        self._seconds = 0.0
        self._started: CallStarted | None = None
        self._refusal: CallFailed | None = None

    def __call__(self, event: Event) -> None:
        """Fold the event in."""
        match event:
            case CallStarted():
                self._started = event
            case FileUploaded():
                self._success += 1
                self._size += event.size
                self._reused += event.reused
                if self._keep_files:
                    self._files.append(_success(event))
            case FileFailed():
                self._failed += 1
                self._files.append(_failure(event))
            case FileUnknown():
                self._unknown += 1
                self._files.append(replace(_failure(event), unknown=True))
            case ScanFinished(linked=linked, outside=outside):
                self._linked, self._outside = linked, outside
            case EntrySkipped():
                self._skipped.append(event.name)
            case CallFailed():
                self._refusal = event
            case CallFinished():
                self._seconds = event.seconds
            case _:
                pass

    @property
    def refused(self) -> bool:
        """Whether the upload as a whole could not start or continue."""
        return self._refusal is not None

    def report(self, found: int = 0) -> UploadReport:
        """Return the report of what was consumed so far.

        If the upload was refused, those of the `found` files that were not uploaded count as
        failed, at least one does, and the last of `files` is the source itself with the reason.
        """
        report = UploadReport(
            success=self._success,
            failed=self._failed,
            size=self._size,
            seconds=self._seconds,
            files=tuple(self._files),
            skipped=tuple(self._skipped),
            unknown=self._unknown,
            reused=self._reused,
            linked=self._linked,
            outside=self._outside,
        )
        if self._refusal is None:
            return report
        return replace(
            report,
            failed=max(1, found - self._success - self._unknown),
            files=(*report.files, _refused(self._started, self._refusal)),
        )


def _refused(started: CallStarted | None, refusal: CallFailed) -> FileOutcome:
    return FileOutcome(
        name=started.source if started else "",
        key=started.target if started else "",
        size=0,
        seconds=0.0,
        error=refusal.code,
        params=refusal.params,
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
        reused=event.reused,
    )


def _failure(event: FileFailed | FileUnknown) -> FileOutcome:
    return FileOutcome(
        name=event.name,
        key=event.key,
        size=event.size,
        seconds=event.seconds,
        error=event.code,
        params=event.params,
    )
