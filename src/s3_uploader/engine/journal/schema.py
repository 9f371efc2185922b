"""What a journal's file holds, and what marks it as one."""

APPLICATION_ID = 0x53335570
"""In the header of a journal ("S3Up"), so that no other program's database is taken for one."""

VERSION = 1

TABLES = frozenset({"upload", "part", "committed"})

SCHEMA = """
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
