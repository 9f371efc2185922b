"""What the store holds when a response does not say it: asked for, compared, decided."""

from s3_uploader.engine.outcome.complete import PartsLostError, publish
from s3_uploader.engine.outcome.head import Content, Published, find
from s3_uploader.engine.outcome.put import Doubt, resolve_put
from s3_uploader.engine.outcome.size import confirm_size

__all__ = [
    "Content",
    "Doubt",
    "PartsLostError",
    "Published",
    "confirm_size",
    "find",
    "publish",
    "resolve_put",
]
