"""The journal as the engine sees it: off the event loop, and never a reason to fail."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from typing import TypeVar

from s3_uploader.engine.journal.database import Database
from s3_uploader.engine.journal.records import Committed, Place, Run, SentPart, UploadRecord
from s3_uploader.source import Fingerprint

T = TypeVar("T")


class Journal:
    """Opened at its first use. What it cannot do it leaves undone, and says so in `problem`.

    Args:
        path: the SQLite file; default `journal.db` in the user's state directory.
    """

    def __init__(self, path: str | None = None) -> None:
        self.path = path or _default_path()
        self.problem = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="s3-uploader-journal")
        self._database: Database | None = None

    async def close(self) -> None:
        """Write what is waiting and close the file."""
        await asyncio.wrap_future(self._thread.submit(self._close))
        self._thread.shutdown()

    async def begin(
        self, place: Place, token: str, path: str, fingerprint: Fingerprint, part_size: int
    ) -> int:
        """Note an upload that is about to be created; return its row, 0 if it is not noted."""
        row = await self._ask(Database.begin, place, token, path, fingerprint, part_size)
        return row or 0

    async def created(self, row: int, upload_id: str) -> None:
        """Note the id the store gave."""
        await self._ask(Database.created, row, upload_id)

    def add(self, row: int, part: SentPart) -> None:
        """Note a part the store has taken; written soon, without waiting."""
        self._submit(Database.add, row, part)

    async def flush(self) -> None:
        """Wait until all that was noted is written."""
        await asyncio.wrap_future(self._thread.submit(lambda: None))

    async def forget(self, row: int) -> None:
        """Remove an upload that is completed, aborted or never was."""
        await self._ask(Database.forget, row)

    async def release(self, row: int) -> None:
        """Leave an upload for the next to take it up."""
        await self._ask(Database.release, row)

    async def claim(self, place: Place) -> list[UploadRecord]:
        """Return the uploads to exactly this key that nobody is at work on; they are ours now."""
        return await self._ask(Database.claim, place) or []

    async def claim_row(self, row: int) -> bool:
        """Return whether nobody is at work on this upload; it is ours now."""
        return await self._ask(Database.claim_row, row) or False

    async def uploads(self, endpoint: str, bucket: str, prefix: str) -> list[UploadRecord]:
        """Return the uploads of a bucket whose key begins with `prefix`, whoever works on them."""
        return await self._ask(Database.uploads, endpoint, bucket, prefix) or []

    async def interrupted(self, run: Run) -> bool:
        """Return whether an earlier run committed files and did not finish."""
        return await self._ask(Database.interrupted, run) or False

    async def committed(self, run: Run, key: str, fingerprint: Fingerprint) -> Committed | None:
        """Return what the run noted of this very file, if it did."""
        return await self._ask(Database.committed, run, key, fingerprint)

    def note(self, run: Run, key: str, fingerprint: Fingerprint, done: Committed) -> None:
        """Note a committed file; written soon, without waiting."""
        self._submit(Database.note, run, key, fingerprint, done)

    async def finish(self, run: Run) -> None:
        """Forget a run: all of it is committed."""
        await self._ask(Database.finish, run)

    async def _ask(self, work: Callable[..., T], *args: object) -> T | None:
        return await asyncio.wrap_future(self._submit(work, *args))

    def _submit(self, work: Callable[..., T], *args: object) -> "Future[T | None]":
        return self._thread.submit(self._perform, work, *args)

    def _perform(self, work: Callable[..., T], *args: object) -> T | None:
        if self.problem:
            return None
        try:
            if self._database is None:
                self._database = Database(self.path)
            return work(self._database, *args)
        except (sqlite3.Error, OSError) as error:
            self.problem = str(error) or type(error).__name__
            return None

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()


def _default_path() -> str:
    # Imported here: an upload of small files needs no journal.
    directory: str = import_module("platformdirs").user_state_dir("s3_uploader")
    return f"{directory}/journal.db"
