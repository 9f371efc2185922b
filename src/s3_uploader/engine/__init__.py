"""The asyncio engine: many files, one file, one request, and the events they tell."""

from s3_uploader.engine.call import Call
from s3_uploader.engine.channel import Consumer, dispatching
from s3_uploader.engine.directory import upload_directory
from s3_uploader.engine.file import upload_file
from s3_uploader.engine.orphans import PendingUpload, abort_pending, pending
from s3_uploader.engine.verify import verify_directory, verify_file

__all__ = [
    "Call",
    "Consumer",
    "PendingUpload",
    "abort_pending",
    "dispatching",
    "pending",
    "upload_directory",
    "upload_file",
    "verify_directory",
    "verify_file",
]
