"""Consumers of events: a log for people, records for a logger, reports for code."""

from s3_uploader.consumers.log import LogConsumer
from s3_uploader.consumers.records import RecordConsumer, trace
from s3_uploader.consumers.report import FileOutcome, ReportBuilder, UploadReport
from s3_uploader.consumers.verification import FileComparison, VerifyBuilder, VerifyReport

__all__ = [
    "FileComparison",
    "FileOutcome",
    "LogConsumer",
    "RecordConsumer",
    "ReportBuilder",
    "UploadReport",
    "VerifyBuilder",
    "VerifyReport",
    "trace",
]
