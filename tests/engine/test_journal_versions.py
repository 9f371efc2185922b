"""A journal of an older version is migrated, and its uploads are resumed."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from s3_uploader import UploadConfig, Uploader
from s3_uploader.checksums import CRC64NVME, Checksum
from s3_uploader.checksums.md5 import md5_of
from s3_uploader.engine.journal import Place
from s3_uploader.engine.journal.database import Database
from s3_uploader.engine.journal.schema import VERSION
from s3_uploader.events import Event, PartReused
from s3_uploader.store import PutOptions
from s3_uploader.testing.hooked import HookedStore

pytestmark = pytest.mark.anyio

# As version 1 made it.
_VERSION_1 = """
CREATE TABLE upload (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint TEXT NOT NULL, bucket TEXT NOT NULL, key TEXT NOT NULL,
    upload_id TEXT NOT NULL, token TEXT NOT NULL, path NOT NULL,
    size INTEGER NOT NULL, mtime_ns TEXT NOT NULL, inode TEXT NOT NULL,
    device TEXT NOT NULL, part_size INTEGER NOT NULL, begun REAL NOT NULL
);
CREATE INDEX upload_place ON upload (endpoint, bucket, key);
CREATE TABLE part (
    row INTEGER NOT NULL REFERENCES upload ON DELETE CASCADE,
    number INTEGER NOT NULL, size INTEGER NOT NULL, md5 TEXT NOT NULL, etag TEXT NOT NULL,
    verified_by TEXT NOT NULL,
    PRIMARY KEY (row, number)
) WITHOUT ROWID;
CREATE TABLE committed (
    endpoint TEXT NOT NULL, bucket TEXT NOT NULL, prefix TEXT NOT NULL, root NOT NULL,
    key TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns TEXT NOT NULL, inode TEXT NOT NULL,
    device TEXT NOT NULL, etag TEXT NOT NULL, parts INTEGER NOT NULL,
    verified_by TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (endpoint, bucket, prefix, root, key)
) WITHOUT ROWID;
"""
_PLACE = Place("memory://", "memory", "key")


class Old:
    """An upload of `data` that version 1 left open, with its first three parts of five sent.

    With `crc` it was created for CRC-64/NVME: its token says so, and its parts have no MD5.
    """

    def __init__(self, folder: Path, *, crc: bool) -> None:
        self.path = folder / "f"
        self.data = os.urandom(4_500)
        self.path.write_bytes(self.data)
        self.journal = folder / "journal.db"
        self.store = HookedStore()
        self.crc = crc
        self.token = ("crc64nvme-" if crc else "") + "0" * 32

    async def leave(self) -> None:
        memory = self.store.memory
        upload_id = await memory.create_multipart_upload(
            "key", PutOptions(metadata={"s3-uploader-token": self.token})
        )
        status = self.path.stat()
        with closing(sqlite3.connect(self.journal)) as raw, raw:
            raw.executescript(_VERSION_1)
            raw.execute("PRAGMA user_version = 1")
            raw.execute(f"PRAGMA application_id = {0x53335570}")
            raw.execute("PRAGMA journal_mode = WAL")
            raw.execute(
                "INSERT INTO upload VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(*_PLACE, upload_id, self.token, str(self.path), status.st_size),
                    *map(str, (status.st_mtime_ns, status.st_ino, status.st_dev)),
                    *(1_000, 1.8e9),
                ),
            )
            for number in (1, 2, 3):
                piece = self.data[(number - 1) * 1_000 : number * 1_000]
                memory.uploads[upload_id].parts[number] = piece
                digest = CRC64NVME.of(piece).value if self.crc else md5_of(piece)
                proof = "crc64nvme" if self.crc else "etag-md5"
                raw.execute(
                    "INSERT INTO part VALUES (1, ?, 1000, ?, ?, ?)",
                    (number, digest, md5_of(piece), proof),
                )


@pytest.mark.parametrize("crc", [False, True], ids=["md5", "crc64nvme"])
async def test_upload_that_version_1_left_is_resumed(tmp_path: Path, *, crc: bool) -> None:
    old = Old(tmp_path, crc=crc)
    await old.leave()
    events: list[Event] = []
    config = UploadConfig(journal=str(old.journal), integrity="crc64nvme" if crc else "auto")
    async with Uploader(store=old.store, config=config) as uploader:
        outcome = await uploader.upload_file(old.path, "key", consumers=[events.append])
    outcome.raise_for_failure()
    assert old.store.memory.objects == {"key": old.data}
    assert old.store.memory.uploads == {}
    assert {event.part for event in events if isinstance(event, PartReused)} == {1, 2, 3}
    assert old.store.count("CreateMultipartUpload") == 0
    sent = sorted(call.part for call in old.store.calls if call.operation == "UploadPart")
    assert sent == [4, 5]
    with closing(sqlite3.connect(old.journal)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (VERSION,)
        assert raw.execute("SELECT count(*) FROM upload").fetchone() == (0,)


@pytest.mark.parametrize("crc", [False, True], ids=["md5", "crc64nvme"])
async def test_records_of_version_1_are_read_as_they_were_meant(
    tmp_path: Path, *, crc: bool
) -> None:
    old = Old(tmp_path, crc=crc)
    await old.leave()
    for _ in range(2):
        database = Database(str(old.journal))
        (record,) = database.claim(_PLACE)
        database.close()
        assert (record.token, record.algorithm) == (old.token, "crc64nvme" if crc else "")
        piece = old.data[:1_000]
        part = record.parts[1]
        assert part.md5 == ("" if crc else md5_of(piece))
        assert part.checksum == (CRC64NVME.of(piece) if crc else None)
        assert part.checksum is None or isinstance(part.checksum, Checksum)


async def test_file_of_another_program_is_not_migrated(tmp_path: Path) -> None:
    """The same version and the same names of tables are not enough: nothing of it changes."""
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as raw, raw:
        for table in ("upload", "part", "committed"):
            raw.execute(f"CREATE TABLE {table} (number)")
        raw.execute("INSERT INTO part VALUES (1)")
        raw.execute("PRAGMA user_version = 1")
    with pytest.raises(sqlite3.Error):
        Database(str(path))
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT * FROM part").fetchall() == [(1,)]
        assert [name for _, name, *_ in raw.execute("PRAGMA table_info(part)")] == ["number"]
        assert [name for _, name, *_ in raw.execute("PRAGMA table_info(upload)")] == ["number"]
        assert raw.execute("PRAGMA user_version").fetchone() == (1,)
