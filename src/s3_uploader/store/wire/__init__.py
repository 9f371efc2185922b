"""The fast lane: the calls of an upload over our own connections."""

from s3_uploader.store.wire.lane import Identity, WireStore

__all__ = ["Identity", "WireStore"]
