"""The journal as the engine sees it: off the event loop, and never a reason to fail."""

import asyncio
import os
from concurrent.futures import Future
from importlib import import_module
from typing import TYPE_CHECKING, Any

from s3_uploader.engine.journal.records import CommittedFile, Place, RunKey, SentPart, UploadRecord
from s3_uploader.errors import ResourceError
from s3_uploader.source import Fingerprint
from s3_uploader.threads import Threads

if TYPE_CHECKING:
    from s3_uploader.engine.journal.database import Database


class Journal:
    """The journal, opened at its first use; degrades to no-ops and keeps the reason in `error`.

    `refused` says that the file at its path is no journal, and was left as it is.

    Args:
        path: the SQLite file; default `journal.db` in the user's state directory.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path or ""
        self.error = ""
        self.refused = False
        self._thread = Threads(1, "s3-uploader-journal")
        self._database: Database | None = None
        self._used = False

    async def close(self) -> None:
        """Write what is waiting and close the file."""
        if self._used:
            await self._done(self._thread.submit(self._close))
        await self._thread.close()

    async def insert_upload(
        self,
        place: Place,
        token: str,
        path: str,
        fingerprint: Fingerprint,
        part_size: int,
        algorithm: str = "",
        options: str = "",
    ) -> int:
        """Record an upload that is about to be created; return its row, 0 if it is not recorded."""
        row = await self._call(
            "insert_upload", place, token, path, fingerprint, part_size, algorithm, options
        )
        return int(row or 0)

    async def set_upload_id(self, row: int, upload_id: str) -> None:
        """Record the upload id that the store gave."""
        await self._call("set_upload_id", row, upload_id)

    def add_part(self, row: int, part: SentPart) -> None:
        """Record a part that the store has taken; written soon, without waiting."""
        self._enqueue("add_part", row, part)

    async def flush(self) -> None:
        """Wait until all that was recorded is written."""
        await self._done(self._thread.submit(lambda: None))

    async def take_over(self, row: int, path: str, fingerprint: Fingerprint) -> None:
        """Record that an upload is now of this file, whose bytes its parts are compared with."""
        await self._call("take_over", row, path, fingerprint)

    async def forget(self, row: int) -> None:
        """Remove an upload that is completed, aborted or never was."""
        await self._call("forget", row)

    async def release(self, row: int) -> None:
        """Release an upload for the next process to resume."""
        await self._call("release", row)

    async def claim(self, place: Place) -> list[UploadRecord]:
        """Hold and return the uploads to exactly this key that no other process holds."""
        return await self._call("claim", place) or []

    async def claim_lost(self, place: Place) -> list[UploadRecord]:
        """Return those of `claim` alone that wait for their id."""
        return await self._call("claim_lost", place) or []

    async def claim_row(self, row: int) -> bool:
        """Hold this upload; return whether no other process did."""
        return await self._call("claim_row", row) is True

    async def uploads(self, endpoint: str, bucket: str, prefix: str) -> list[UploadRecord]:
        """Return the uploads of a bucket whose key begins with `prefix`, held or not."""
        return await self._call("uploads", endpoint, bucket, prefix) or []

    async def interrupted(self, run: RunKey) -> bool:
        """Return whether an earlier run committed files and did not finish."""
        return await self._call("interrupted", run) is True

    async def committed(
        self, run: RunKey, key: str, fingerprint: Fingerprint
    ) -> CommittedFile | None:
        """Return what the run recorded of this file, if its size and time are still the same."""
        found: CommittedFile | None = await self._call("committed", run, key, fingerprint)
        return found

    def record(self, run: RunKey, key: str, fingerprint: Fingerprint, done: CommittedFile) -> None:
        """Record a committed file; written soon, without waiting."""
        self._enqueue("record", run, key, fingerprint, done)

    async def clear(self, run: RunKey) -> None:
        """Forget a run: all of it is committed."""
        await self._call("clear", run)

    async def _call(self, work: str, *args: object) -> Any:
        return await self._done(self._enqueue(work, *args))

    async def _done(self, work: "Future[Any]") -> Any:
        try:
            return await asyncio.wrap_future(work)
        except ResourceError as error:
            # There is no thread for it.
            self.error = self.error or str(error)
            return None

    def _enqueue(self, work: str, *args: object) -> "Future[Any]":
        self._used = True
        return self._thread.submit(self._perform, work, *args)

    def _perform(self, work: str, *args: object) -> Any:
        """Call the database's method of that name; None where it cannot be done."""
        if self.error:
            return None
        # Imported here, in the journal's thread: an upload of small files needs no SQLite.
        try:
            module: Any = import_module("s3_uploader.engine.journal.database")
        except (ImportError, OSError) as error:
            # A Python built without SQLite, or a process that can open no more files.
            self.error = str(error)
            return None
        try:
            self.path = self.path or _default_path()
            if self._database is None:
                self._database = module.Database(self.path)
            return getattr(self._database, work)(*args)
        except (*module.FAILURES, MemoryError) as error:
            self.error = str(error) or type(error).__name__
            self.refused = isinstance(error, module.NotAJournalError)
            return None

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()


def _default_path() -> str:
    # Imported here: an upload of small files needs no journal.
    directory: str = import_module("platformdirs").user_state_dir("s3_uploader")
    if not os.path.isabs(directory):
        raise OSError(f"no home directory for {directory}")
    return f"{directory}/journal.db"
