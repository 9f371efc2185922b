"""The journal's file: made by us, or recognised as a journal, or refused and left as it is.

What is there already keeps its mode and its owner, whatever they are: volumes that show every file
as everybody's (SMB, vfat, some network file systems) are where a journal has to be to survive a
container, and it holds no secret. Whoever may write to it decides what is resumed and skipped.
"""

import os
import sqlite3
import stat
import time
from contextlib import closing, suppress
from urllib.parse import quote

from s3_uploader.engine.journal.schema import APPLICATION_ID, TABLES
from s3_uploader.source import kind_of

_MAKING_SECONDS = 1.0
"""Another process that makes the file needs a moment until it is whole."""

_SMALLEST = 512
"""Bytes of the smallest page. Of a file below it SQLite says that it is an empty database."""

_NO_DATABASE = "it is no SQLite database"


class NotAJournalError(OSError):
    """There is something at the path that is no journal, and was not touched."""


def make_or_recognise(path: str) -> None:
    """Make an empty file at `path`, for the user alone, or see to it that a journal is there.

    An empty file that is there already is taken for one that was made to become the journal.

    Raises:
        NotAJournalError: something else is there.
        OSError, sqlite3.Error: it cannot be made, read or written.
    """
    _make_directory(os.path.dirname(path))
    # Made before SQLite would make it, so that we choose its mode; its WAL takes the same.
    # Never opened where it exists: closing a descriptor of it would drop the locks that other
    # connections of this process have on it (sqlite.org/howtocorrupt.html, 2.2). Nor would it do
    # for a fifo or a device.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        status = os.stat(path)
    else:
        return
    if not stat.S_ISREG(status.st_mode):
        raise NotAJournalError(f"it is a {kind_of(status)}")
    if 0 < status.st_size < _SMALLEST:
        raise NotAJournalError(_NO_DATABASE)
    if status.st_size:
        _recognise(path)
    if not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError("it may not be read and written")


def _recognise(path: str) -> None:
    """Read what the file says it is.

    By SQLite, which knows of its other connections to the file, and as "immutable": it then takes
    no lock, makes no file beside it, and reads none, not even of a database in use. All that is
    looked for stands in the file itself: a journal is made before it gets a write-ahead log.
    """
    uri = f"file:{quote(os.fsencode(path))}?mode=ro&immutable=1"
    until = time.monotonic() + _MAKING_SECONDS
    while True:
        try:
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                _check_header(connection)
        except sqlite3.DatabaseError as error:
            if _is_no_database(error):
                raise NotAJournalError(_NO_DATABASE) from error
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _is_no_database(error: sqlite3.DatabaseError) -> bool:
    return error.sqlite_errorcode == sqlite3.SQLITE_NOTADB


def _check_header(connection: sqlite3.Connection) -> None:
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    if mark == APPLICATION_ID:
        return
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    # Journals of the first releases have no mark.
    if mark or {name for (name,) in found if not name.startswith("sqlite_")} != TABLES:
        raise NotAJournalError("it is a database of something else")


def _make_directory(path: str) -> None:
    """Make a directory and those above it, for the user alone; `os.makedirs` opens those above."""
    if not os.path.isdir(path):
        _make_directory(os.path.dirname(path))
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
