"""The fast lane: every call over our own connections."""

from s3_uploader.store.wire.lane import WireStore
from s3_uploader.store.wire.requester import SigningContext

__all__ = ["SigningContext", "WireStore"]
