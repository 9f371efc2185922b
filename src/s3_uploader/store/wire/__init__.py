"""The fast lane: PutObject and UploadPart over connections of our own."""

from s3_uploader.store.wire.lane import WireStore

__all__ = ["WireStore"]
