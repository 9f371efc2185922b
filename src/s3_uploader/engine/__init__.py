"""The asyncio engine: many files, one file, one request, and the events they emit."""

from s3_uploader.engine.call import Call
from s3_uploader.engine.delivery.channel import Consumer, dispatching
from s3_uploader.engine.operations.pending import PendingUpload, abort_pending, pending
from s3_uploader.engine.operations.upload import count_directory, upload_directory, upload_file
from s3_uploader.engine.operations.verify import verify_directory, verify_file

__all__ = [
    "Call",
    "Consumer",
    "PendingUpload",
    "abort_pending",
    "count_directory",
    "dispatching",
    "pending",
    "upload_directory",
    "upload_file",
    "verify_directory",
    "verify_file",
]
