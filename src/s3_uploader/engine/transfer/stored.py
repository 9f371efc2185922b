"""A file that the store holds, and how strong the evidence for it is."""

from collections.abc import Iterable
from dataclasses import dataclass

from s3_uploader.engine.outcome import Content
from s3_uploader.events import Evidence

_STRENGTH = {"none": 0, "size": 1, "etag-md5": 3}
_CHECKSUM_STRENGTH = 2


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that the store holds.

    Attributes:
        etag, parts, verified_by: of its object.
        reused: bytes that an earlier upload had sent.
        claimed: nothing but the store's response says that it does.
        content: distinguishes its object from others, where it was sent in parts.
        md5: the same, where it was not.
    """

    etag: str
    parts: int
    verified_by: Evidence
    reused: int = 0
    claimed: bool = False
    content: Content | None = None
    md5: str = ""


def weakest(evidence: Iterable[Evidence]) -> Evidence:
    """Return the weakest of several pieces of evidence."""
    return min(evidence, key=lambda one: _STRENGTH.get(one, _CHECKSUM_STRENGTH))
