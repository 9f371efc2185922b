"""Where bytes come from: walk a tree, read ranges, guard against change."""

from s3_uploader.source.base import Source, SourceBody, source_md5
from s3_uploader.source.bytes import BytesSource
from s3_uploader.source.file import FileSource
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
    "BytesSource",
    "Entry",
    "FileRange",
    "FileSource",
    "Fingerprint",
    "Problem",
    "Skipped",
    "SmallFileReader",
    "Source",
    "SourceBody",
    "SourceFile",
    "Within",
    "count_files",
    "kind_of",
    "open_regular",
    "open_source",
    "recheck",
    "run_in_thread",
    "source_md5",
    "walk",
]
