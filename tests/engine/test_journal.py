"""The journal: whose it is, who works on what, and that it is never a reason to fail."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from s3_uploader import UploadConfig, Uploader
from s3_uploader.engine.journal import CommittedFile, Place, RunKey, SentPart
from s3_uploader.engine.journal.database import Database
from s3_uploader.engine.journal.lease import Leases
from s3_uploader.events import Event, Warned
from s3_uploader.source import Fingerprint
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import TINY, HookedStore, Moment
from trees import make_tree

_PLACE = Place("https://store", "bucket", "a/b")
_RUN = RunKey("https://store", "bucket", "models", "/models")
_PRINT = Fingerprint(10, 20, 30, 40)
_PART = SentPart(1, 10, "0" * 32, "etag", "etag-md5")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@contextmanager
def opened(path: Path) -> Iterator[Database]:
    database = Database(str(path))
    try:
        yield database
    finally:
        database.close()


def in_another_process(path: Path, code: str) -> str:
    """Run code that finds `database` open and `place`; return what it prints."""
    setup = (
        "import sys; from s3_uploader.engine.journal.database import Database\n"
        "from s3_uploader.engine.journal import Place, SentPart, RunKey, CommittedFile\n"
        "from s3_uploader.source import Fingerprint\n"
        "database = Database(sys.argv[1]); place = Place('https://store', 'bucket', 'a/b')\n"
        "mark = Fingerprint(10, 20, 30, 40)\n"
    )
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", setup + code, str(path)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def below(folder: Path) -> list[str]:
    return [str(found.relative_to(folder)) for found in folder.rglob("*")]


def content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


# ----------------------------------------------------------------------------------- what it keeps


def test_records_are_there_in_the_next_process(path: Path) -> None:
    with opened(path) as database:
        row = database.insert_upload(_PLACE, "token", "/file", _PRINT, 10)
        database.set_upload_id(row, "upload-id")
        database.add_part(row, _PART)
        database.add_part(row, _PART)
        database.record(_RUN, "models/x", _PRINT, CommittedFile("etag", 1, "etag-md5"))
    output = in_another_process(
        path,
        "(one,) = database.claim(place)\n"
        "print(one.key, one.upload_id, one.token, one.path, one.fingerprint == mark)\n"
        "print(one.part_size, one.parts)\n"
        "print(database.committed(RunKey('https://store', 'bucket', 'models', '/models'),"
        " 'models/x', mark))",
    )
    assert output.splitlines() == [
        "a/b upload-id token /file True",
        f"10 { {1: _PART} }",
        str(CommittedFile("etag", 1, "etag-md5")),
    ]


@pytest.mark.parametrize(
    "fingerprint",
    [
        Fingerprint(0, 0, 0, 0),
        Fingerprint(1 << 62, 20, (1 << 64) - 1, (1 << 64) - 2),
        # The years 1900 and 2400: file systems keep both.
        Fingerprint(1, -2_208_988_800_123_456_789, 1 << 63, 1),
        Fingerprint(1, 13_569_465_600_123_456_789, (1 << 63) - 1, 1),
    ],
)
def test_every_fingerprint_is_read_back_unchanged(path: Path, fingerprint: Fingerprint) -> None:
    with opened(path) as database:
        row = database.insert_upload(_PLACE, "", "/file", fingerprint, 10)
        database.record(_RUN, "x", fingerprint, CommittedFile("etag", 1, "size"))
        database.release(row)
        (record,) = database.claim(_PLACE)
        assert record.fingerprint == fingerprint
        assert database.committed(_RUN, "x", fingerprint) == CommittedFile("etag", 1, "size")


@pytest.mark.parametrize("change", ["size", "mtime_ns", "inode", "device"])
def test_changed_file_is_not_committed(path: Path, change: str) -> None:
    """With other numbers it may be the same one after a restart: that has to be proven."""
    values = {"size": 10, "mtime_ns": 20, "inode": 30, "device": 40}
    changed = Fingerprint(**(values | {change: values[change] + 1}))
    unproven = CommittedFile("etag", 1, "size", renumbered=True)
    with opened(path) as database:
        database.record(_RUN, "x", _PRINT, CommittedFile("etag", 1, "size"))
        expected = unproven if change in {"inode", "device"} else None
        assert database.committed(_RUN, "x", changed) == expected
        assert database.committed(_RUN._replace(root="/other"), "x", _PRINT) is None
        assert database.committed(_RUN._replace(prefix="other"), "x", _PRINT) is None
        assert database.committed(_RUN, "x", _PRINT) == CommittedFile("etag", 1, "size")
        database.clear(_RUN)
        assert not database.interrupted(_RUN)


def test_names_that_are_not_text_are_kept(path: Path) -> None:
    name = os.fsdecode(b"/models/\xff\xfe")
    run = _RUN._replace(root=name)
    with opened(path) as database:
        database.release(database.insert_upload(_PLACE, "", name, _PRINT, 10))
        assert [record.path for record in database.claim(_PLACE)] == [name]
        database.record(run, "x", _PRINT, CommittedFile("etag", 1, "size"))
        assert database.interrupted(run)
        assert database.committed(run, "x", _PRINT)
        assert not database.interrupted(_RUN)
        assert database.uploads("https://store", "bucket", name) == []


def test_only_exactly_the_key_is_claimed(path: Path) -> None:
    keys = ["a", "a/b", "a/b/c", "a%", "a_b", "A/b", "ä/b", "🙂", "🙂/b"]
    with opened(path) as database:
        for key in keys:
            place = _PLACE._replace(key=key)
            database.release(database.insert_upload(place, "", "/file", _PRINT, 10))
        for other in (_PLACE._replace(bucket="other"), _PLACE._replace(endpoint="https://x")):
            database.release(database.insert_upload(other, "", "/file", _PRINT, 10))
        for key in keys:
            claimed = database.claim(_PLACE._replace(key=key))
            assert [record.key for record in claimed] == [key]
            # What was not asked for stays free for others.
            for record in claimed:
                database.release(record.row)
        found = {record.key for record in database.uploads("https://store", "bucket", "a")}
        assert found == {"a", "a/b", "a/b/c", "a%", "a_b"}
        assert len(database.uploads("https://store", "bucket", "")) == len(keys)


def test_row_ids_are_never_reused(path: Path) -> None:
    with opened(path) as database:
        first = database.insert_upload(_PLACE, "", "/file", _PRINT, 10)
        database.add_part(first, _PART)
        database.forget(first)
        second = database.insert_upload(_PLACE, "", "/file", _PRINT, 10)
        assert second > first
        assert database.uploads(*_PLACE)[0].parts == {}


def test_run_is_forgotten_after_a_week(path: Path) -> None:
    with opened(path) as database:
        database.record(_RUN, "x", _PRINT, CommittedFile("etag", 1, "size"))
    with opened(path) as database:
        assert database.interrupted(_RUN)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE committed SET at = at - 8 * 24 * 3600")
    with opened(path) as database:
        assert not database.interrupted(_RUN)


# ------------------------------------------------------------------------------------- whose it is


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_journal_is_for_its_owner_alone(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with opened(path) as database:
            database.insert_upload(_PLACE, "", "/file", _PRINT, 10)
            modes = {
                found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()
            }
    finally:
        os.umask(before)
    names = {f"journal.db{suffix}" for suffix in ("", "-wal", "-shm", ".lock")}
    assert modes == dict.fromkeys(names, 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_new_directories_are_for_the_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(tmp_path / "a/b/journal.db"):
            pass
    finally:
        os.umask(before)
    for name in ("a", "a/b"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700


def test_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with opened(tmp_path / "journal.db"):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


# ------------------------------------------------------------------------------------------ leases


def test_no_two_uploads_of_a_process_hold_the_same_row(path: Path) -> None:
    with opened(path) as one, opened(path) as two:
        row = one.insert_upload(_PLACE, "", "/file", _PRINT, 10)
        assert two.claim(_PLACE) == []
        assert not two.claim_row(row)
        one.release(row)
        assert [record.row for record in two.claim(_PLACE)] == [row]
        assert one.claim(_PLACE) == []


def test_no_two_processes_hold_the_same_row(path: Path) -> None:
    with opened(path) as database:
        row = database.insert_upload(_PLACE, "", "/file", _PRINT, 10)
        # Another Database of this process, closed, must not free the locks of the first.
        with opened(path):
            pass
        asking = "print(len(database.claim(place)))"
        assert in_another_process(path, asking) == "0"
        database.release(row)
        assert in_another_process(path, asking) == "1"
        # It has ended, and with it its claim.
        assert len(database.claim(_PLACE)) == 1


def test_process_that_dies_frees_its_rows(path: Path) -> None:
    in_another_process(
        path,
        "import os, signal\n"
        "row = database.insert_upload(place, '', '/file', mark, 10)\n"
        "if os.fork() == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.wait(); assert not database.claim_row(row)",
    )
    with opened(path) as database:
        assert len(database.claim(_PLACE)) == 1


def test_forked_child_holds_none_of_the_rows_of_its_parent(path: Path) -> None:
    output = in_another_process(
        path,
        "import os\n"
        "row = database.insert_upload(place, '', '/file', mark, 10)\n"
        "asking, telling = os.pipe(), os.pipe()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    own = Database(sys.argv[1])\n"
        "    print('child', len(own.claim(place)), flush=True)\n"
        "    own.close()\n"
        "    mine = Database(sys.argv[1])\n"
        "    print('its own', mine.insert_upload(place, '', '/file', mark, 10) > row, flush=True)\n"
        "    os.write(asking[1], b'.'); os.read(telling[0], 1)\n"
        "    print('given up', mine.claim_row(row), flush=True)\n"
        "    os._exit(0)\n"
        "os.read(asking[0], 1)\n"
        "print('parent still', not database.claim_row(row), flush=True)\n"
        "database.release(row)\n"
        "os.write(telling[1], b'.'); os.waitpid(child, 0)\n"
        "print('of the child', len(database.claim(place)))",
    )
    assert output.splitlines() == [
        *("child 0", "its own True", "parent still True", "given up True", "of the child 2")
    ]


def test_close_releases_rows_still_held(path: Path) -> None:
    with opened(path) as database:
        database.insert_upload(_PLACE, "", "/file", _PRINT, 10)
    with opened(path) as database:
        assert len(database.claim(_PLACE)) == 1


def test_another_name_of_the_same_file_has_the_same_leases(path: Path) -> None:
    link = path.parent.parent / "link.db"
    with opened(path) as one:
        link.symlink_to(path)
        with opened(link) as two:
            one.insert_upload(_PLACE, "", "/file", _PRINT, 10)
            assert two.claim(_PLACE) == []


def test_journal_removed_and_created_again_has_its_own_leases(path: Path) -> None:
    with opened(path) as old:
        row = old.insert_upload(_PLACE, "", "/file", _PRINT, 10)
        for found in path.parent.iterdir():
            found.unlink()
        with opened(path) as new:
            assert new.insert_upload(_PLACE, "", "/file", _PRINT, 10) == row
            # Theirs is the new file, and there nobody but us holds the row.
            assert in_another_process(path, "print(len(database.claim(place)))") == "0"


def test_new_upload_is_never_seen_without_its_lease(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its row and its lease another could take it for one that was left."""
    acquire = Leases.acquire
    with opened(path) as database, opened(path) as other:

        def acquire_after_another_has_looked(self: Leases, row: int) -> bool:
            monkeypatch.setattr(Leases, "acquire", acquire)
            assert other.claim(_PLACE) == []
            return acquire(self, row)

        monkeypatch.setattr(Leases, "acquire", acquire_after_another_has_looked)
        database.insert_upload(_PLACE, "", "/file", _PRINT, 10)
        assert Leases.acquire is acquire
        assert other.claim(_PLACE) == []


# ------------------------------------------------------------------------ several at the same time


_CONTENDER = (
    "import time\n"
    "for n in range(40):\n"
    "    row = database.insert_upload(place, 't', '/file', mark, 10)\n"
    "    database.set_upload_id(row, f'id-{row}')\n"
    "    for number in (1, 2, 3):\n"
    "        database.add_part(row, SentPart(number, 10, '', 'etag', 'none'))\n"
    "    done = CommittedFile('etag', 1, 'none')\n"
    "    database.record(RunKey('e', 'b', 'p', 'r'), f'{row}', mark, done)\n"
    "    database.forget(row) if n % 2 else database.release(row)\n"
    "    [database.release(record.row) for record in database.claim(place)]\n"
)


def test_processes_write_at_the_same_time(path: Path) -> None:
    # All of them also make the file.
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: in_another_process(path, _CONTENDER), range(4)))
    with opened(path) as database:
        records = database.claim(_PLACE)
        assert len(records) == 4 * 20
        assert all(len(record.parts) == 3 for record in records)
        assert all(record.upload_id == f"id-{record.row}" for record in records)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*) FROM committed").fetchone() == (160,)
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_part_costs_one_statement(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = sqlite3.Connection(*args, **options)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect)
    with opened(path) as database:
        row = database.insert_upload(_PLACE, "", "/file", _PRINT, 10)
        statements.clear()
        for number in range(1, 101):
            database.add_part(row, SentPart(number, 10, "0" * 32, "etag", "etag-md5"))
        assert len(statements) == 100


# -------------------------------------------------------------------------- never a reason to fail


class Watcher:
    """Keeps the warnings of an upload."""

    def __init__(self) -> None:
        self.warned: list[Warned] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Warned):
            self.warned.append(event)


async def upload_twice(journal: str, folder: Path) -> Watcher:
    """Upload a file in parts and a directory with one Uploader; check the objects."""
    files = make_tree(folder, {"parts": 4_500, "more": 5_500, "small": 10})
    store = MemoryStore(provider=TINY)
    watcher = Watcher()
    config = UploadConfig(journal=journal)
    async with Uploader(store=store, config=config) as uploader:
        outcome = await uploader.upload_file(folder / "parts", "one", consumers=[watcher])
        outcome.raise_for_failure()
        report = await uploader.upload_directory(folder, "all", consumers=[watcher])
        report.raise_for_failures()
    expected = {"one": files["parts"]} | {f"all/{name}": data for name, data in files.items()}
    assert store.objects == expected
    assert store.uploads == {}
    return watcher


def _corrupt_within(path: Path) -> None:
    Database(str(path)).close()
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes(len(data) - 100))


def _truncated(path: Path) -> None:
    Database(str(path)).close()
    path.write_bytes(path.read_bytes()[:5000])


def _another_version(path: Path) -> None:
    Database(str(path)).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA user_version = 99")


def _another_table(path: Path) -> None:
    Database(str(path)).close()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE bookmarks (url)")


def _lock_is_a_directory(path: Path) -> None:
    path.with_name(f"{path.name}.lock").mkdir()


def _lock_is_a_fifo(path: Path) -> None:
    os.mkfifo(path.with_name(f"{path.name}.lock"))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_corrupt_within, "malformed"),
        (_truncated, "malformed"),
        (_another_version, "another version (99)"),
        (_another_table, "not a journal's"),
        (_lock_is_a_directory, "lock is a directory"),
        (_lock_is_a_fifo, "lock is a fifo"),
    ],
)
async def test_damaged_journal_is_reported_once_and_left_as_it_is(
    tmp_path: Path, path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    path.parent.mkdir()
    spoil(path)
    before = content(path)
    watcher = await upload_twice(str(path), tmp_path / "files")
    (warning,) = watcher.warned
    assert warning.code == "journal.unavailable"
    assert warning.params["path"] == str(path)
    assert reason in str(warning.params["reason"])
    assert content(path) == before


@pytest.mark.anyio
@pytest.mark.parametrize("journal", ["/proc/x/journal.db", "/dev/null/journal.db"])
async def test_upload_works_where_no_journal_can_be(tmp_path: Path, journal: str) -> None:
    watcher = await upload_twice(journal, tmp_path / "files")
    (warning,) = watcher.warned
    assert warning.code == "journal.unavailable"
    assert warning.params["path"] == journal
    assert warning.params["reason"]


@pytest.mark.anyio
async def test_no_journal_where_it_is_off(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    watcher = await upload_twice("off", tmp_path / "files")
    assert watcher.warned == []
    assert below(home) == []
    assert set(below(tmp_path)) == {"files", "files/parts", "files/more", "files/small"}


@pytest.mark.anyio
async def test_store_object_has_no_journal_unless_named(tmp_path: Path, home: Path) -> None:
    make_tree(tmp_path, {"f": 4_500})
    async with Uploader(store=MemoryStore(provider=TINY), config=UploadConfig()) as uploader:
        assert (await uploader.upload_file(tmp_path / "f")).ok
    assert below(home) == []


@pytest.mark.anyio
async def test_journal_that_fails_midway_is_reported_at_the_end(tmp_path: Path, path: Path) -> None:
    make_tree(tmp_path, {"f": 4_500})
    watcher = Watcher()

    async def hook(moment: Moment) -> None:
        if moment == Moment("before", "UploadPart", "f", 2):
            with closing(sqlite3.connect(path)) as raw, raw:
                raw.execute("DROP TABLE part")

    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=UploadConfig(journal=str(path))) as uploader:
        assert (await uploader.upload_file(tmp_path / "f", consumers=[watcher])).ok
    assert [warning.params["reason"] for warning in watcher.warned] == ["no such table: part"]


def test_python_without_sqlite_uploads_anyway(tmp_path: Path, path: Path) -> None:
    make_tree(tmp_path, {"f": 4_500})
    code = (
        "import asyncio, sys; sys.modules['sqlite3'] = None\n"
        "from s3_uploader.testing.hooked import TINY\n"
        "from s3_uploader import UploadConfig, Uploader\n"
        "from s3_uploader.testing import MemoryStore\n"
        "async def main():\n"
        "    config = UploadConfig(journal=sys.argv[2])\n"
        "    async with Uploader(store=MemoryStore(provider=TINY), config=config) as uploader:\n"
        "        print((await uploader.upload_file(sys.argv[1])).ok)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "f"), str(path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "True\n", done.stderr


@pytest.mark.anyio
async def test_directory_whose_name_is_not_text_is_uploaded(tmp_path: Path, path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    made = make_tree(folder, {"parts": 4_500})
    # As large a time as the file system takes; not all take this.
    os.utime(folder / "parts", ns=(0, 10_413_792_000_123_456_789))
    store, watcher = HookedStore(), Watcher()
    async with Uploader(store=store, config=UploadConfig(journal=str(path))) as uploader:
        report = await uploader.upload_directory(folder, consumers=[watcher])
        report.raise_for_failures()
    assert store.memory.objects == made
    assert watcher.warned == []
