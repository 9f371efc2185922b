"""What survives the process: unfinished multipart uploads, and what directory runs committed."""

from s3_uploader.engine.journal.journal import Journal
from s3_uploader.engine.journal.records import CommittedFile, Place, RunKey, SentPart, UploadRecord

__all__ = ["CommittedFile", "Journal", "Place", "RunKey", "SentPart", "UploadRecord"]
