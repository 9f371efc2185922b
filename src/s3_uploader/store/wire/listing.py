"""Read the XML of listings."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING

from s3_uploader.errors import StoreError
from s3_uploader.store.answers import Request
from s3_uploader.store.base import StoredPart, UploadInfo

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


@dataclass(frozen=True, slots=True)
class PartsPage:
    """A page of ListParts; `next_marker` is "" on the last one."""

    parts: list[StoredPart]
    next_marker: str


@dataclass(frozen=True, slots=True)
class UploadsPage:
    """A page of ListMultipartUploads; `next_marker` is two "" on the last one."""

    uploads: list[UploadInfo]
    next_marker: tuple[str, str]


def parts(document: bytes, request: Request) -> PartsPage:
    """Read a page of ListParts.

    Raises:
        StoreError: "store.bad_listing".
    """
    root = _root(document, request)
    try:
        found = [
            StoredPart(
                int(_text(part, "PartNumber")),
                _text(part, "ETag").strip('"'),
                int(_text(part, "Size")),
            )
            for part in _children(root, "Part")
        ]
    except ValueError as error:
        raise unusable(request) from error
    return PartsPage(found, _text(root, "NextPartNumberMarker") if _truncated(root) else "")


def uploads(document: bytes, request: Request) -> UploadsPage:
    """Read a page of ListMultipartUploads.

    Raises:
        StoreError: "store.bad_listing".
    """
    root = _root(document, request)
    try:
        found = [
            UploadInfo(
                _text(upload, "Key"), _text(upload, "UploadId"), _time(_text(upload, "Initiated"))
            )
            for upload in _children(root, "Upload")
        ]
    except ValueError as error:
        raise unusable(request) from error
    if not _truncated(root):
        return UploadsPage(found, ("", ""))
    return UploadsPage(found, (_text(root, "NextKeyMarker"), _text(root, "NextUploadIdMarker")))


def unusable(request: Request) -> StoreError:
    """Return the error for a listing that is no listing or leads nowhere."""
    return StoreError("store.bad_listing", operation=request.operation, key=request.key)


def _root(document: bytes, request: Request) -> "Element":
    # Imported here: only an upload that is resumed lists anything.
    etree = import_module("xml.etree.ElementTree")
    try:
        root: Element = etree.fromstring(document)
    except etree.ParseError as error:
        raise unusable(request) from error
    return root


def _children(root: "Element", name: str) -> Iterator["Element"]:
    # With S3's namespace, or with none: stores differ.
    return (child for child in root if child.tag.rpartition("}")[2] == name)


def _text(root: "Element", name: str) -> str:
    return next((child.text or "" for child in _children(root, name)), "")


def _truncated(root: "Element") -> bool:
    return _text(root, "IsTruncated") == "true"


def _time(value: str) -> float:
    return datetime.fromisoformat(value).timestamp() if value else 0.0
