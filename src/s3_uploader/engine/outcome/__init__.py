"""Did it happen? Asked of the store where no response says so, and decided by `judge`."""

from s3_uploader.engine.outcome.complete import Completion, PartsLostError
from s3_uploader.engine.outcome.head import Content, Published, find
from s3_uploader.engine.outcome.judge import Attempts
from s3_uploader.engine.outcome.put import resolve_put
from s3_uploader.engine.outcome.size import Claim, confirm_size

__all__ = [
    "Attempts",
    "Claim",
    "Completion",
    "Content",
    "PartsLostError",
    "Published",
    "confirm_size",
    "find",
    "resolve_put",
]
