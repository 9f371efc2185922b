"""What a run over a directory has committed, so that an interrupted one need not send it again."""

import os
from dataclasses import dataclass

from s3_uploader.engine.journal import CommittedFile, Journal, RunKey
from s3_uploader.source import Fingerprint


@dataclass(slots=True)
class DirectoryRun:
    """The committed files of this run and of an interrupted one before it.

    The journal is asked at the first file that is large enough to be worth it. When every file
    is committed the run is forgotten: the next one sends everything, as it would without a journal.

    Attributes:
        complete: whether no file has failed so far.
    """

    journal: Journal | None = None
    key: RunKey | None = None
    complete: bool = True
    _interrupted: bool | None = None

    @classmethod
    def of(
        cls, journal: Journal | None, endpoint: str, bucket: str, prefix: str, root: str
    ) -> "DirectoryRun":
        """Return the run that uploads `root` to `prefix`."""
        return cls(journal, RunKey(endpoint, bucket, prefix, os.path.abspath(root)))

    async def committed(self, key: str, fingerprint: Fingerprint) -> CommittedFile | None:
        """Return what an interrupted run committed of this file, if size and time are the same."""
        if self.journal is None or self.key is None:
            return None
        if self._interrupted is None:
            self._interrupted = await self.journal.interrupted(self.key)
        if not self._interrupted:
            return None
        return await self.journal.committed(self.key, key, fingerprint)

    def record(self, key: str, fingerprint: Fingerprint, done: CommittedFile) -> None:
        """Record a committed file."""
        if self.journal is not None and self.key is not None:
            self.journal.record(self.key, key, fingerprint, done)

    async def clear(self) -> None:
        """Forget the run if all of it is committed."""
        recorded = self._interrupted is not None
        if self.complete and recorded and self.journal is not None and self.key is not None:
            await self.journal.clear(self.key)
