"""Report what a verification found: a fold over its events."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from s3_uploader.errors import Param, VerifyFailedError
from s3_uploader.events import CallFinished, Event, Evidence, FileVerified, VerifyResult
from s3_uploader.messages import Language, Sentence

_SENTENCES = {
    "same": "verify.same",
    "different": "verify.different",
    "missing": "verify.missing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileComparison:
    """The comparison of one local file with its object.

    Attributes:
        name: path below the directory, or the file's name.
        key: object key.
        size: bytes of the local file.
        result: "same" if the object holds exactly the file's bytes, else "different", "missing", or
            "failed" where the two could not be compared.
        verified_by: what shows the result: the ETag, the object's bytes, the sizes, or "none".
        code: message code that says why the two could not be compared, else "".
        params: the message's parameters.
    """

    name: str
    key: str
    size: int
    result: VerifyResult
    verified_by: Evidence = "none"
    code: str = ""
    params: Mapping[str, Param] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, event: FileVerified) -> "FileComparison":
        """Return the comparison that an event reports."""
        return cls(
            name=event.name,
            key=event.key,
            size=event.size,
            result=event.result,
            verified_by=event.verified_by,
            code=event.code,
            params=event.params,
        )

    @property
    def same(self) -> bool:
        """Whether the object holds exactly the file's bytes."""
        return self.result == "same"

    def message(self, language: Language = "en") -> str:
        """Return what was found as a sentence in `language`."""
        return _sentence(self).translated(language)

    def raise_for_difference(self) -> None:
        """Raise VerifyFailedError unless the object holds exactly the file's bytes."""
        if not self.same:
            raise VerifyFailedError("verify.failed_file", name=self.name, reason=_sentence(self))


def _sentence(file: FileComparison) -> Sentence:
    if file.code:
        return Sentence(file.code, file.params)
    return Sentence(_SENTENCES[file.result], {"key": file.key})


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """The comparison of the files of a directory with their objects.

    Attributes:
        same, different, missing, failed: numbers of files, by `FileComparison.result`.
        seconds: wall-clock time of the verification.
        files: every file that is not "same", in order of completion.
    """

    same: int
    different: int
    missing: int
    failed: int
    seconds: float
    files: tuple[FileComparison, ...] = field(repr=False)

    @property
    def total(self) -> int:
        """Number of files compared."""
        return self.same + self.different + self.missing + self.failed

    @property
    def ok(self) -> bool:
        """Whether every object holds exactly its file's bytes."""
        return self.same == self.total

    def raise_for_failures(self) -> None:
        """Raise VerifyFailedError, naming the first file that is not "same", unless all are."""
        for first in self.files[:1]:
            raise VerifyFailedError(
                "verify.failed_files",
                failed=self.total - self.same,
                total=self.total,
                name=first.name,
                reason=_sentence(first),
            )


class VerifyBuilder:
    """A consumer that folds the events of one verification into a `VerifyReport`.

    Attributes:
        last: the file that was compared last, None before the first.
    """

    def __init__(self) -> None:
        self.last: FileComparison | None = None
        self._counts = {"same": 0, "different": 0, "missing": 0, "failed": 0}
        self._files: list[FileComparison] = []
        self._seconds = 0.0

    def __call__(self, event: Event) -> None:
        """Fold the event in."""
        match event:
            case FileVerified():
                self.last = FileComparison.of(event)
                self._counts[event.result] += 1
                if not self.last.same:
                    self._files.append(self.last)
            case CallFinished(seconds=seconds):
                self._seconds = seconds
            case _:
                pass

    def report(self) -> VerifyReport:
        """Return the report of what was consumed so far."""
        return VerifyReport(**self._counts, seconds=self._seconds, files=tuple(self._files))
