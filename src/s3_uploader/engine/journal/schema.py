"""What a journal's file holds, and what marks it as one."""

APPLICATION_ID = 0x53335570
"""In the header of a journal ("S3Up"), so that no other program's database is taken for one."""

VERSION = 2

TABLES = frozenset({"upload", "part", "committed"})

SCHEMA = """
CREATE TABLE upload (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint TEXT NOT NULL, bucket TEXT NOT NULL, key TEXT NOT NULL,
    upload_id TEXT NOT NULL, token TEXT NOT NULL, path NOT NULL,
    size INTEGER NOT NULL, mtime_ns TEXT NOT NULL, inode TEXT NOT NULL,
    device TEXT NOT NULL, part_size INTEGER NOT NULL, begun REAL NOT NULL,
    algorithm TEXT NOT NULL DEFAULT '', options TEXT NOT NULL DEFAULT ''
);
CREATE INDEX upload_place ON upload (endpoint, bucket, key);
CREATE TABLE part (
    row INTEGER NOT NULL REFERENCES upload ON DELETE CASCADE,
    number INTEGER NOT NULL, size INTEGER NOT NULL, md5 TEXT NOT NULL, etag TEXT NOT NULL,
    verified_by TEXT NOT NULL, algorithm TEXT NOT NULL DEFAULT '',
    checksum TEXT NOT NULL DEFAULT '',
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

MIGRATIONS = {
    1: """
ALTER TABLE upload ADD COLUMN algorithm TEXT NOT NULL DEFAULT '';
ALTER TABLE upload ADD COLUMN options TEXT NOT NULL DEFAULT '';
ALTER TABLE part ADD COLUMN algorithm TEXT NOT NULL DEFAULT '';
ALTER TABLE part ADD COLUMN checksum TEXT NOT NULL DEFAULT '';
UPDATE upload SET algorithm = 'crc64nvme' WHERE token GLOB 'crc64nvme-*';
UPDATE part SET algorithm = 'crc64nvme', checksum = md5, md5 = '' WHERE length(md5) = 12;
"""
}
"""What makes of a journal of each older version one of the next.

Version 1 marked the token of an upload whose parts carry CRC-64/NVME, and kept the CRC of a part
(12 characters of base64) where it keeps the MD5 of others (32 of hex).
"""
