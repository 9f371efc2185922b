"""The journal's file: what it may be, and that nothing else is touched."""

import os
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from s3_uploader import UploadConfig, Uploader
from s3_uploader.engine.journal import Place
from s3_uploader.engine.journal.database import Database
from s3_uploader.engine.journal.opening import NotAJournalError
from s3_uploader.events import Event, Warned
from s3_uploader.source import Fingerprint
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import TINY
from trees import make_tree

_PLACE = Place("https://store", "bucket", "a/b")
_PRINT = Fingerprint(10, 20, 30, 40)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state/journal.db"


def state(folder: Path) -> dict[str, object]:
    """Return all there is below a folder: what it is, its mode, its times and its content."""
    found: dict[str, object] = {}
    for entry in sorted(folder.rglob("*")):
        status = entry.lstat()
        regular = stat.S_ISREG(status.st_mode)
        found[str(entry.relative_to(folder))] = (
            *(status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns),
            *(status.st_ctime_ns, entry.read_bytes() if regular else b""),
        )
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def rows(path: Path) -> int:
    """Use a journal; return how many uploads it knows of the place."""
    database = Database(str(path))
    try:
        database.release(database.insert_upload(_PLACE, "", "/file", _PRINT, 10))
        return len(database.uploads(*_PLACE))
    finally:
        database.close()


# ------------------------------------------------------------------------------ what is refused


def _text(path: Path) -> None:
    path.write_text("a letter to nobody\n" * 100)
    path.chmod(0o644)


def _one_byte(path: Path) -> None:
    path.write_bytes(b"S")


def _other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE bookmarks (url)")
    path.chmod(0o644)


def _of_the_same_version(path: Path) -> None:
    _other_database(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA user_version = 1")


def _with_a_mark_of_its_own(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA application_id = 252006674")


def _of_the_same_tables_and_more(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        for table in ("upload", "part", "committed", "orders"):
            raw.execute(f"CREATE TABLE {table} (number)")
        raw.execute("PRAGMA user_version = 1")


def _socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with closing(socket.socket(socket.AF_UNIX)) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(before)


def _link_to(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def link(path: Path) -> None:
        make(path.with_name("target"))
        path.symlink_to("target")

    return link


_REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "text": (_text, "no SQLite database"),
    "one byte": (_one_byte, "no SQLite database"),
    "other database": (_other_database, "something else"),
    "other database, same version": (_of_the_same_version, "something else"),
    "other database, its own mark": (_with_a_mark_of_its_own, "something else"),
    "other database, same tables and more": (_of_the_same_tables_and_more, "something else"),
    "fifo": (os.mkfifo, "a fifo"),
    "socket": (_socket, "a socket"),
    "device": (lambda path: path.symlink_to("/dev/null"), "a character device"),
    "link to text": (_link_to(_text), "no SQLite database"),
    "link to a fifo": (_link_to(os.mkfifo), "a fifo"),
    "link to a database": (_link_to(_other_database), "something else"),
}


@pytest.mark.anyio
@pytest.mark.timeout(30)
@pytest.mark.parametrize(("make", "reason"), _REFUSED.values(), ids=_REFUSED)
async def test_file_that_is_no_journal_is_refused_once_and_untouched(
    tmp_path: Path, path: Path, make: Callable[[Path], None], reason: str
) -> None:
    make(path)
    make_tree(tmp_path / "files", {"parts": 4_500, "more": 5_500})
    null = os.stat("/dev/null")
    before = state(path.parent)
    warned: list[Warned] = []

    def watch(event: Event) -> None:
        if isinstance(event, Warned):
            warned.append(event)

    store = MemoryStore(provider=TINY)
    async with Uploader(store=store, config=UploadConfig(journal=str(path))) as uploader:
        for prefix in ("one", "two"):
            report = await uploader.upload_directory(tmp_path / "files", prefix, consumers=[watch])
            report.raise_for_failures()
    (warning,) = warned
    assert warning.code == "journal.refused"
    assert warning.params["path"] == str(path)
    assert reason in str(warning.params["reason"])
    assert state(path.parent) == before
    assert (null.st_mode, null.st_ctime_ns) == (
        os.stat("/dev/null").st_mode,
        os.stat("/dev/null").st_ctime_ns,
    )


@pytest.mark.parametrize("make", [Path.mkdir, _link_to(Path.mkdir)])
def test_directory_is_refused(path: Path, make: Callable[[Path], None]) -> None:
    """The settings refuse one too, unless it is made after they were read."""
    make(path)
    before = state(path.parent)
    with pytest.raises(NotAJournalError, match="a directory"):
        Database(str(path))
    assert state(path.parent) == before


@contextmanager
def another_process(code: str, path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run code until it has printed a line; it ends when its input does."""
    with subprocess.Popen(
        [sys.executable, "-c", f"import sqlite3, sys\n{code}\nprint(flush=True); input()", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        yield process
        process.stdin.write("\n")
        process.stdin.close()
        process.stdin = None
        assert process.wait(30) == 0


def test_database_in_use_by_another_process_is_untouched(path: Path) -> None:
    """What it is made of is all in its write-ahead log yet."""
    use = (
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA journal_mode = WAL')\n"
        "database.execute('CREATE TABLE bookmarks (url)')\n"
        "database.execute('BEGIN IMMEDIATE')"
    )
    with another_process(use, path):
        before = state(path.parent)
        assert {"journal.db", "journal.db-wal", "journal.db-shm"} == set(before)
        with pytest.raises(NotAJournalError):
            Database(str(path))
        assert state(path.parent) == before


def test_locks_of_this_process_on_another_database_outlive_the_refusal(path: Path) -> None:
    """POSIX frees all locks of a process on a file when it closes any descriptor of it."""
    _other_database(path)
    asking = (
        "try: sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE'); print('free')\n"
        "except sqlite3.OperationalError as error: print(error)"
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as own:
        own.execute("BEGIN EXCLUSIVE")
        with pytest.raises(NotAJournalError):
            Database(str(path))
        asked = subprocess.run(
            [sys.executable, "-c", f"import sqlite3, sys\n{asking}", path],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    assert asked.stdout == "database is locked\n"


def test_second_journal_of_the_process_leaves_the_first_its_locks(path: Path) -> None:
    """Without the locks another process believes it is the last, and removes the log in use."""
    use = (
        "database = sqlite3.connect(sys.argv[1])\n"
        "database.execute('SELECT count(*) FROM upload').fetchone()\n"
        "database.close()"
    )
    with closing(Database(str(path))), closing(Database(str(path))):
        with another_process(use, path):
            pass
        assert path.with_name("journal.db-wal").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to it")
def test_journal_that_may_not_be_written_is_left_alone(path: Path) -> None:
    rows(path)
    path.chmod(0o400)
    path.with_name("journal.db.lock").unlink()
    before = state(path.parent)
    with pytest.raises(PermissionError):
        Database(str(path))
    assert state(path.parent) == before


# ----------------------------------------------------------------------------- what is accepted


def _nothing(_path: Path) -> None:
    return


def _empty(path: Path) -> None:
    path.touch()
    path.chmod(0o644)


def _journal(path: Path) -> None:
    Database(str(path)).close()
    path.with_name(f"{path.name}.lock").unlink()


def _open_to_all(path: Path) -> None:
    _journal(path)
    path.chmod(0o666)


def _without_a_mark(path: Path) -> None:
    """As the first releases made it."""
    _journal(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA application_id = 0")


def _never_checkpointed(path: Path) -> None:
    """As a process leaves it that dies at once."""
    code = (
        "import os, signal, sys; from s3_uploader.engine.journal.database import Database\n"
        "database = Database(sys.argv[1]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, path], env=environ, check=False, timeout=60)
    assert done.returncode < 0


_ACCEPTED: dict[str, tuple[Callable[[Path], None], int]] = {
    "nothing": (_nothing, 0o600),
    "empty file": (_empty, 0o644),
    "journal": (_journal, 0o600),
    "journal that all may write": (_open_to_all, 0o666),
    "journal of a first release": (_without_a_mark, 0o600),
    "journal of a process that was killed": (_never_checkpointed, 0o600),
    "link to a journal": (_link_to(_journal), 0o600),
    "link to an empty file": (_link_to(_empty), 0o644),
    "link to nothing": (_link_to(_nothing), 0o600),
}


@pytest.mark.parametrize(("make", "expected"), _ACCEPTED.values(), ids=_ACCEPTED)
def test_journal_is_used_and_its_mode_left_as_it_is(
    path: Path, make: Callable[[Path], None], expected: int
) -> None:
    make(path)
    linked = path.is_symlink()
    assert [rows(path), rows(path)] == [1, 2]
    assert mode(path) == expected
    assert path.is_symlink() is linked
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA application_id").fetchone() == (0x53335570,)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_file_says_what_it_is_before_its_first_checkpoint(path: Path) -> None:
    """Read as it lies there, without its write-ahead log: so others are left alone too."""
    _never_checkpointed(path)
    assert path.with_name("journal.db-wal").exists()
    uri = f"{path.as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as raw:
        found: list[Any] = raw.execute(
            "SELECT name FROM sqlite_master WHERE type='table'"
        ).fetchall()
    assert {"upload", "part", "committed"} <= {name for (name,) in found}
