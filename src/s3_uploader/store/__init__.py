"""The seam to the network: what the engine asks of a store, and the lanes that serve it."""

from s3_uploader.store.base import ObjectStore
from s3_uploader.store.body import Body, BytesBody, FileBody, Span
from s3_uploader.store.errors import error_from_response
from s3_uploader.store.options import PutOptions
from s3_uploader.store.values import (
    CompletedPart,
    ListedObject,
    ListedPage,
    ObjectInfo,
    Receipt,
    StoredPart,
    UploadInfo,
)

__all__ = [
    "Body",
    "BytesBody",
    "CompletedPart",
    "FileBody",
    "ListedObject",
    "ListedPage",
    "ObjectInfo",
    "ObjectStore",
    "PutOptions",
    "Receipt",
    "Span",
    "StoredPart",
    "UploadInfo",
    "error_from_response",
]
