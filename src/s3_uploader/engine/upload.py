"""One of our multipart uploads, and what distinguishes its object from others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from s3_uploader.checksums import ALGORITHMS, Algorithm
from s3_uploader.engine.journal import SentPart, UploadRecord

TOKEN = "s3-uploader-token"  # noqa: S105  (the name of a metadata field)
"""User metadata of every object sent in parts: which upload made it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload.

    Attributes:
        upload_id: the store's name for it.
        token: in the metadata of its object, where the store keeps metadata.
        row: its row in the journal, 0 for none.
        part_size: bytes.
        algorithm: whose checksums the store expects with the parts, None for none. Amazon S3 takes
            no part with another into it.
        known: the parts that the store or the journal shows, by number.
    """

    upload_id: str
    token: str
    row: int = 0
    part_size: int = 0
    algorithm: Algorithm | None = None
    known: Mapping[int, SentPart] = field(default_factory=dict)

    @classmethod
    def of(cls, record: UploadRecord) -> "Upload":
        """Return the upload that the journal recorded."""
        return cls(
            record.upload_id,
            record.token,
            record.row,
            record.part_size,
            ALGORITHMS.get(record.algorithm),
            record.parts,
        )
