"""Where bytes come from: walk a tree, read ranges, guard against change."""

from s3_uploader.source.crc import combined, crc64nvme
from s3_uploader.source.fingerprint import (
    Fingerprint,
    kind_of,
    open_regular,
    open_source,
    recheck,
)
from s3_uploader.source.ranges import FileRange, run_in_thread
from s3_uploader.source.small import SmallFileReader
from s3_uploader.source.walk import Entry, Problem, Skipped, SourceFile, count_files, walk
from s3_uploader.source.within import Within

__all__ = [
    "Entry",
    "FileRange",
    "Fingerprint",
    "Problem",
    "Skipped",
    "SmallFileReader",
    "SourceFile",
    "Within",
    "combined",
    "count_files",
    "crc64nvme",
    "kind_of",
    "open_regular",
    "open_source",
    "recheck",
    "run_in_thread",
    "walk",
]
