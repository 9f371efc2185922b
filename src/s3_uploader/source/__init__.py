"""Where bytes come from: walk a tree, read ranges, guard against change."""

from s3_uploader.source.read import FileRange, Fingerprint, SmallFileReader, open_source
from s3_uploader.source.walk import Entry, Problem, Skipped, SourceFile, count_files, walk

__all__ = [
    "Entry",
    "FileRange",
    "Fingerprint",
    "Problem",
    "Skipped",
    "SmallFileReader",
    "SourceFile",
    "count_files",
    "open_source",
    "walk",
]
