"""The fast lane: PutObject and UploadPart over connections of our own."""

from s3_uploader.store.wire.lane import Identity, WireStore
from s3_uploader.store.wire.small import Connected

__all__ = ["Connected", "Identity", "WireStore"]
