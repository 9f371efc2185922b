"""The journal's tables. Every method blocks, and belongs to the journal's one thread.

SQLite in WAL mode: what was written survives the death of the process; a power failure may take
the last moments with it, which costs parts sent again and never a wrong object.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from s3_uploader.checksums import Checksum
from s3_uploader.engine.journal.lease import Leases
from s3_uploader.engine.journal.opening import NotAJournalError, make_or_recognise
from s3_uploader.engine.journal.records import CommittedFile, Place, RunKey, SentPart, UploadRecord
from s3_uploader.engine.journal.schema import APPLICATION_ID, MIGRATIONS, SCHEMA, TABLES, VERSION
from s3_uploader.source import Fingerprint

FAILURES = (sqlite3.Error, OSError)
__all__ = ["FAILURES", "Database", "NotAJournalError"]

_BUSY_SECONDS = 5.0
_RUN_SECONDS = 7 * 24 * 3600.0
"""After a week an interrupted directory run starts from scratch."""


class Database:
    """An open journal.

    Args:
        path: the file; it and its directory are made, for the user alone, where missing.

    Raises:
        NotAJournalError: it is something else, and left as it is.
        OSError, sqlite3.Error: it cannot be used.
    """

    def __init__(self, path: str) -> None:
        # By whatever name it is given, one file has one lock file.
        path = os.path.realpath(path)
        make_or_recognise(path)
        self._leases = Leases.of(f"{path}.lock")
        self._held: set[int] = set()
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        run = self._connection.execute
        # What stands in a schema that is not ours shall not run.
        run("PRAGMA trusted_schema = OFF")
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA foreign_keys = ON")
        with self._transaction():
            version = self._version()
            for script in _scripts(version):
                for statement in script.split(";\n"):
                    run(statement)
            if version != VERSION:
                run(f"PRAGMA user_version = {VERSION}")
            if run("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
                run(f"PRAGMA application_id = {APPLICATION_ID}")
        # Only now: a write-ahead log would hold for long what the file is recognised by.
        run("PRAGMA journal_mode = WAL")
        run("DELETE FROM committed WHERE at < ?", (time.time() - _RUN_SECONDS,))

    def _version(self) -> int:
        """Return the version of the file, 0 if it is empty; raise if it is not ours to write to."""
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in {0, VERSION, *MIGRATIONS}:
            raise sqlite3.DatabaseError(f"made by another version ({version})")
        found = self._connection.execute("SELECT type, name FROM sqlite_master").fetchall()
        tables = {name for kind, name in found if kind == "table" and name != "sqlite_sequence"}
        if tables != (TABLES if version else set()):
            raise sqlite3.DatabaseError("its tables are not a journal's")
        return int(version)

    def close(self) -> None:
        """Close the file and give back what is still held."""
        self._connection.close()
        for row in list(self._held):
            self._release(row)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # Some failures, such as a full disk, have rolled it back already.
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise

    def _acquire(self, row: int) -> bool:
        taken = self._leases.acquire(row)
        if taken:
            self._held.add(row)
        return taken

    def _release(self, row: int) -> None:
        # Only rows that this connection holds: another of this process may hold others.
        if row in self._held:
            self._held.discard(row)
            self._leases.release(row)

    # --------------------------------------------------------------------- multipart uploads

    def insert_upload(
        self,
        place: Place,
        token: str,
        path: str,
        fingerprint: Fingerprint,
        part_size: int,
        algorithm: str = "",
        options: str = "",
    ) -> int:
        """Record an upload that is about to be created; return its row, which is then held."""
        # The lease comes before the row shows: else it would look like one that was left.
        with self._transaction():
            cursor = self._connection.execute(
                "INSERT INTO upload (endpoint, bucket, key, upload_id, token, path, size, mtime_ns,"
                " inode, device, part_size, begun, algorithm, options)"
                " VALUES (?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(*place, token, _bound(path), *_columns(fingerprint)),
                    *(part_size, time.time(), algorithm, options),
                ),
            )
            row = int(cursor.lastrowid or 0)
            self._acquire(row)
        return row

    def set_upload_id(self, row: int, upload_id: str) -> None:
        """Record the upload id that the store gave."""
        self._connection.execute("UPDATE upload SET upload_id = ? WHERE row = ?", (upload_id, row))

    def add_part(self, row: int, part: SentPart) -> None:
        """Record a part that the store has taken."""
        algorithm, checksum = part.checksum or ("", "")
        self._connection.execute(
            "INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(row, part.number, part.size, part.md5, part.etag, part.verified_by),
                *(algorithm, checksum),
            ),
        )

    def take_over(self, row: int, path: str, fingerprint: Fingerprint) -> None:
        """Record that an upload is now of this file, whose bytes its parts are compared with."""
        self._connection.execute(
            "UPDATE upload SET path = ?, size = ?, mtime_ns = ?, inode = ?, device = ?"
            " WHERE row = ?",
            (_bound(path), *_columns(fingerprint), row),
        )

    def forget(self, row: int) -> None:
        """Remove an upload that is completed, aborted or never was."""
        try:
            self._connection.execute("DELETE FROM upload WHERE row = ?", (row,))
        finally:
            self._release(row)

    def release(self, row: int) -> None:
        """Release an upload for the next process to resume."""
        self._release(row)

    def claim(self, place: Place, *, lost: bool = False) -> list[UploadRecord]:
        """Return the uploads to exactly this key that no process holds, and hold them.

        With `lost` those alone that wait for their id.
        """

        def wanted(record: UploadRecord) -> bool:
            return record.key == place.key and not (lost and record.upload_id)

        rows = {
            record.row
            for record in self.uploads(*place)
            if wanted(record) and self._acquire(record.row)
        }
        if not rows:
            return []
        # Read once more: who held one may have forgotten it, or learned its id, in between.
        claimed = [
            record for record in self.uploads(*place) if record.row in rows and wanted(record)
        ]
        for row in rows - {record.row for record in claimed}:
            self._release(row)
        return claimed

    def claim_lost(self, place: Place) -> list[UploadRecord]:
        """Return those of `claim` alone that wait for their upload id."""
        return self.claim(place, lost=True)

    def claim_row(self, row: int) -> bool:
        """Hold this upload; return whether no other process did."""
        return self._acquire(row)

    def uploads(self, endpoint: str, bucket: str, prefix: str) -> list[UploadRecord]:
        """Return the uploads of a bucket whose key begins with `prefix`, the newest first."""
        rows = self._connection.execute(
            "SELECT row, key, upload_id, token, path, size, mtime_ns, inode, device, part_size,"
            " begun, algorithm, options FROM upload WHERE endpoint = ? AND bucket = ?"
            " AND substr(key, 1, ?) = ? ORDER BY row DESC",
            (endpoint, bucket, len(prefix), _bound(prefix)),
        ).fetchall()
        return [
            UploadRecord(
                *(row, key, upload_id, token, os.fsdecode(path)),
                Fingerprint(*map(int, numbers)),
                *(part_size, begun, name, options, self._parts(row)),
            )
            for row, key, upload_id, token, path, *numbers, part_size, begun, name, options in rows
        ]

    def _parts(self, row: int) -> dict[int, SentPart]:
        rows = self._connection.execute(
            "SELECT number, size, md5, etag, verified_by, algorithm, checksum FROM part"
            " WHERE row = ?",
            (row,),
        )
        return {
            number: SentPart(
                number, size, md5, etag, verified_by, Checksum(name, value) if name else None
            )
            for number, size, md5, etag, verified_by, name, value in rows
        }

    # ------------------------------------------------------------------------ directory runs

    def interrupted(self, run: RunKey) -> bool:
        """Return whether an earlier run committed files and did not finish."""
        found = self._connection.execute(
            "SELECT 1 FROM committed WHERE endpoint = ? AND bucket = ? AND prefix = ?"
            " AND root = ? LIMIT 1",
            _columns_of(run),
        ).fetchone()
        return found is not None

    def committed(self, run: RunKey, key: str, fingerprint: Fingerprint) -> CommittedFile | None:
        """Return what the run noted of this file, if it did and its size and time are the same."""
        size, mtime_ns, inode, device = _columns(fingerprint)
        found = self._connection.execute(
            "SELECT etag, parts, verified_by, inode, device FROM committed WHERE endpoint = ?"
            " AND bucket = ? AND prefix = ? AND root = ? AND key = ? AND size = ? AND mtime_ns = ?",
            (*_columns_of(run), key, size, mtime_ns),
        ).fetchone()
        if not found:
            return None
        etag, parts, verified_by, *numbers = found
        return CommittedFile(etag, parts, verified_by, renumbered=numbers != [inode, device])

    def record(self, run: RunKey, key: str, fingerprint: Fingerprint, done: CommittedFile) -> None:
        """Record a committed file."""
        self._connection.execute(
            "INSERT OR REPLACE INTO committed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *_columns_of(run),
                key,
                *_columns(fingerprint),
                done.etag,
                done.parts,
                done.verified_by,
                time.time(),
            ),
        )

    def clear(self, run: RunKey) -> None:
        """Forget a run: all of it is committed."""
        self._connection.execute(
            "DELETE FROM committed WHERE endpoint = ? AND bucket = ? AND prefix = ? AND root = ?",
            _columns_of(run),
        )


def _scripts(version: int) -> list[str]:
    """Return the scripts that bring a file of `version` up to date; 0 is an empty file."""
    return [MIGRATIONS[old] for old in range(version, VERSION)] if version else [SCHEMA]


def _columns(fingerprint: Fingerprint) -> tuple[int, str, str, str]:
    # As text: SQLite's integers have 63 bits and a sign, and these may need more.
    numbers = (fingerprint.mtime_ns, fingerprint.inode, fingerprint.device)
    mtime_ns, inode, device = (str(number) for number in numbers)
    return fingerprint.size, mtime_ns, inode, device


def _columns_of(run: RunKey) -> tuple[str | bytes, ...]:
    return run.endpoint, run.bucket, run.prefix, _bound(run.root)


def _bound(name: str) -> str | bytes:
    """Return a file's name as SQLite takes it: bytes where it is no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name
