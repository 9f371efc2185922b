"""What survives the process: multipart uploads under way, and what a directory run committed."""

from s3_uploader.engine.journal.journal import Journal
from s3_uploader.engine.journal.records import Committed, Place, Run, SentPart, UploadRecord

__all__ = ["Committed", "Journal", "Place", "Run", "SentPart", "UploadRecord"]
