"""What a directory run has committed, so that an interrupted one need not send it again."""

import os
from dataclasses import dataclass

from s3_uploader.engine.journal import Committed, Journal, Run
from s3_uploader.source import Fingerprint


@dataclass(slots=True)
class History:
    """The committed files of this run and of an interrupted one before it.

    The journal is asked at the first file that is large enough to be worth it. When every file
    is committed the run is forgotten: the next one sends everything, as it would without.

    Attributes:
        complete: whether no file has failed so far.
    """

    journal: Journal | None = None
    run: Run | None = None
    complete: bool = True
    _interrupted: bool | None = None

    @classmethod
    def of(
        cls, journal: Journal | None, endpoint: str, bucket: str, prefix: str, root: str
    ) -> "History":
        """Return the history of uploading `root` to `prefix`."""
        return cls(journal, Run(endpoint, bucket, prefix, os.path.abspath(root)))

    async def committed(self, key: str, fingerprint: Fingerprint) -> Committed | None:
        """Return what an interrupted run committed of this file, if size and time are the same."""
        if self.journal is None or self.run is None:
            return None
        if self._interrupted is None:
            self._interrupted = await self.journal.interrupted(self.run)
        if not self._interrupted:
            return None
        return await self.journal.committed(self.run, key, fingerprint)

    def note(self, key: str, fingerprint: Fingerprint, done: Committed) -> None:
        """Note a committed file."""
        if self.journal is not None and self.run is not None:
            self.journal.note(self.run, key, fingerprint, done)

    async def finish(self) -> None:
        """Forget the run if all of it is committed."""
        noted = self._interrupted is not None
        if self.complete and noted and self.journal is not None and self.run is not None:
            await self.journal.finish(self.run)
