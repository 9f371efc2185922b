"""A multipart upload of ours, and how its object is told from others."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from s3_uploader.engine.journal import SentPart

TOKEN = "s3-uploader-token"  # noqa: S105  (the name of a metadata field)
"""User metadata of every object sent in parts: which upload made it."""

CRC_MARK = "crc64nvme-"
"""How the token of an upload begins that was created for parts with CRC-64/NVME.

Whoever resumes it has to know: Amazon S3 takes no such part into another upload."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload of ours. `token` is in its object's metadata, where the store keeps it."""

    upload_id: str
    token: str
    row: int = 0
    part_size: int = 0
    known: Mapping[int, SentPart] = field(default_factory=dict)

    @property
    def crc64nvme(self) -> bool:
        """Whether the store expects CRC-64/NVME with the parts."""
        return self.token.startswith(CRC_MARK)
