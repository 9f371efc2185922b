"""The fast lane: PutObject and UploadPart over connections of our own."""

from s3_uploader.store.wire.lane import Identity, WireStore

__all__ = ["Identity", "WireStore"]
