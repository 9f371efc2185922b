"""The report of a verification: a fold over its events."""

from dataclasses import dataclass

from s3_uploader.events import Event, FileVerified
from s3_uploader.messages import Language, text

_SENTENCES = {
    "same": "verify.same",
    "different": "verify.different",
    "missing": "verify.missing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """How local files compare with the store.

    Attributes:
        same, different, missing, failed: numbers of files: byte-identical at the store; there with
            other bytes; not there; not comparable (the local file or the store could not be read).
        files: every file that is not "same", in order of completion.
    """

    same: int
    different: int
    missing: int
    failed: int
    files: tuple[FileVerified, ...]

    @property
    def total(self) -> int:
        """Number of files compared."""
        return self.same + self.different + self.missing + self.failed

    @property
    def ok(self) -> bool:
        """Whether every file is byte-identical at the store."""
        return self.same == self.total


class VerifyBuilder:
    """A consumer that folds the events of one verification into a `VerifyReport`."""

    def __init__(self) -> None:
        self.last: FileVerified | None = None
        self._counts = {"same": 0, "different": 0, "missing": 0, "failed": 0}
        self._files: list[FileVerified] = []

    def __call__(self, event: Event) -> None:
        """Fold the event in."""
        match event:
            case FileVerified():
                self.last = event
                self._counts[event.result] += 1
                if event.result != "same":
                    self._files.append(event)
            case _:
                pass

    def report(self) -> VerifyReport:
        """Return the report of what was consumed so far."""
        return VerifyReport(**self._counts, files=tuple(self._files))


def verdict(event: FileVerified, language: Language) -> str:
    """Return what was found of a file as a sentence."""
    if event.code:
        return text(language, event.code, event.params)
    return text(language, _SENTENCES[event.result], {"key": event.key})
