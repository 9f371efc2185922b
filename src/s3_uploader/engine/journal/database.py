"""The journal's tables. Every method blocks, and belongs to the journal's one thread.

SQLite in WAL mode: what was written survives the death of the process; a power failure may take
the last moments with it, which costs parts sent again and never a wrong object.
"""

import os
import sqlite3
import time

from s3_uploader.engine.journal.lease import Leases
from s3_uploader.engine.journal.records import Committed, Place, Run, SentPart, UploadRecord
from s3_uploader.source import Fingerprint

FAILURES = (sqlite3.Error, OSError)

_VERSION = 1
_BUSY_SECONDS = 5.0
_64_BITS = (1 << 64) - 1
_RUN_SECONDS = 7 * 24 * 3600.0
"""After a week an interrupted directory run starts afresh."""

_SCHEMA = """
CREATE TABLE upload (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint TEXT NOT NULL, bucket TEXT NOT NULL, key TEXT NOT NULL,
    upload_id TEXT NOT NULL, token TEXT NOT NULL, path TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    device INTEGER NOT NULL, part_size INTEGER NOT NULL, begun REAL NOT NULL
);
CREATE INDEX upload_place ON upload (endpoint, bucket, key);
CREATE TABLE part (
    row INTEGER NOT NULL REFERENCES upload ON DELETE CASCADE,
    number INTEGER NOT NULL, size INTEGER NOT NULL, md5 TEXT NOT NULL, etag TEXT NOT NULL,
    verified_by TEXT NOT NULL,
    PRIMARY KEY (row, number)
) WITHOUT ROWID;
CREATE TABLE committed (
    endpoint TEXT NOT NULL, bucket TEXT NOT NULL, prefix TEXT NOT NULL, root TEXT NOT NULL,
    key TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    device INTEGER NOT NULL, etag TEXT NOT NULL, parts INTEGER NOT NULL,
    verified_by TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (endpoint, bucket, prefix, root, key)
) WITHOUT ROWID;
"""


class Database:
    """An open journal.

    Args:
        path: the file; it and its directory are made, for the user alone, where missing.

    Raises:
        OSError, sqlite3.Error: it cannot be used.
    """

    def __init__(self, path: str) -> None:
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        # Made before SQLite would make it, with a mode of ours; its WAL takes the same.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        os.chmod(path, 0o600)
        self._leases = Leases.of(f"{path}.lock")
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run("PRAGMA foreign_keys = ON")
        run("BEGIN IMMEDIATE")
        (version,) = run("PRAGMA user_version").fetchone()
        if version not in {0, _VERSION}:
            run("ROLLBACK")
            raise sqlite3.DatabaseError(f"made by another version ({version})")
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                run(statement)
            run(f"PRAGMA user_version = {_VERSION}")
        run("DELETE FROM committed WHERE at < ?", (time.time() - _RUN_SECONDS,))
        run("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # --------------------------------------------------------------------- multipart uploads

    def begin(
        self, place: Place, token: str, path: str, fingerprint: Fingerprint, part_size: int
    ) -> int:
        """Note an upload that is about to be created; its row is ours."""
        cursor = self._connection.execute(
            "INSERT INTO upload VALUES (NULL, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?)",
            (*place, token, path, *_columns(fingerprint), part_size, time.time()),
        )
        row = int(cursor.lastrowid or 0)
        self._leases.take(row)
        return row

    def created(self, row: int, upload_id: str) -> None:
        """Note the id the store gave."""
        self._connection.execute("UPDATE upload SET upload_id = ? WHERE row = ?", (upload_id, row))

    def add(self, row: int, part: SentPart) -> None:
        """Note a part the store has taken."""
        self._connection.execute(
            "INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?)",
            (
                row,
                part.number,
                part.size,
                part.md5 or part.crc64nvme,
                part.etag,
                part.verified_by,
            ),
        )

    def forget(self, row: int) -> None:
        """Remove an upload that is completed, aborted or never was."""
        self._connection.execute("DELETE FROM upload WHERE row = ?", (row,))
        self._leases.give(row)

    def release(self, row: int) -> None:
        """Leave an upload for the next to take it up."""
        self._leases.give(row)

    def claim(self, place: Place) -> list[UploadRecord]:
        """Return the uploads to exactly this key that nobody is at work on; they are ours now."""
        rows = {record.row for record in self.uploads(*place) if self._leases.take(record.row)}
        # Read once more: who held one may have finished and forgotten it in between.
        claimed = [
            record
            for record in self.uploads(*place)
            if record.row in rows and record.key == place.key
        ]
        for row in rows - {record.row for record in claimed}:
            self._leases.give(row)
        return claimed

    def claim_row(self, row: int) -> bool:
        """Return whether nobody is at work on this upload; it is ours now."""
        return self._leases.take(row)

    def uploads(self, endpoint: str, bucket: str, prefix: str) -> list[UploadRecord]:
        """Return the uploads of a bucket whose key begins with `prefix`, the newest first."""
        rows = self._connection.execute(
            "SELECT row, key, upload_id, token, path, size, mtime_ns, inode, device, part_size,"
            " begun FROM upload WHERE endpoint = ? AND bucket = ? AND substr(key, 1, ?) = ?"
            " ORDER BY row DESC",
            (endpoint, bucket, len(prefix), prefix),
        ).fetchall()
        return [
            UploadRecord(
                row,
                key,
                upload_id,
                token,
                path,
                Fingerprint(size, mtime_ns, inode & _64_BITS, device & _64_BITS),
                part_size,
                begun,
                self._parts(row),
            )
            for (
                row,
                key,
                upload_id,
                token,
                path,
                size,
                mtime_ns,
                inode,
                device,
                part_size,
                begun,
            ) in rows
        ]

    def _parts(self, row: int) -> dict[int, SentPart]:
        rows = self._connection.execute(
            "SELECT number, size, md5, etag, verified_by FROM part WHERE row = ?", (row,)
        )
        return {number: SentPart(number, *values) for number, *values in rows}

    # ------------------------------------------------------------------------ directory runs

    def interrupted(self, run: Run) -> bool:
        """Return whether an earlier run committed files and did not finish."""
        found = self._connection.execute(
            "SELECT 1 FROM committed WHERE endpoint = ? AND bucket = ? AND prefix = ?"
            " AND root = ? LIMIT 1",
            run,
        ).fetchone()
        return found is not None

    def committed(self, run: Run, key: str, fingerprint: Fingerprint) -> Committed | None:
        """Return what the run noted of this very file, if it did."""
        found = self._connection.execute(
            "SELECT etag, parts, verified_by FROM committed WHERE endpoint = ? AND bucket = ?"
            " AND prefix = ? AND root = ? AND key = ? AND size = ? AND mtime_ns = ?"
            " AND inode = ? AND device = ?",
            (*run, key, *_columns(fingerprint)),
        ).fetchone()
        return Committed(*found) if found else None

    def note(self, run: Run, key: str, fingerprint: Fingerprint, done: Committed) -> None:
        """Note a committed file."""
        self._connection.execute(
            "INSERT OR REPLACE INTO committed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *run,
                key,
                *_columns(fingerprint),
                done.etag,
                done.parts,
                done.verified_by,
                time.time(),
            ),
        )

    def finish(self, run: Run) -> None:
        """Forget a run: all of it is committed."""
        self._connection.execute(
            "DELETE FROM committed WHERE endpoint = ? AND bucket = ? AND prefix = ? AND root = ?",
            run,
        )


def _columns(fingerprint: Fingerprint) -> tuple[int, int, int, int]:
    # SQLite's integers are signed, of 64 bits; inode and device numbers may use all 64.
    inode, device = (
        value - (1 << 64) if value >= 1 << 63 else value
        for value in (fingerprint.inode, fingerprint.device)
    )
    return fingerprint.size, fingerprint.mtime_ns, inode, device
