"""What an object is created with, by one request or in parts: one value for both."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from s3_uploader.checksums import Algorithm


@dataclass(frozen=True, slots=True)
class PutOptions:
    """The options of PutObject and CreateMultipartUpload.

    Attributes:
        content_type: Content-Type of the object.
        metadata: user metadata; names in lower case, without "x-amz-meta-".
        checksum: the algorithm whose checksum each part will carry, None for none. A body that is
            sent with one request carries its own.
    """

    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    checksum: Algorithm | None = None

    def headers(self) -> dict[str, str]:
        """Return the options as request headers, the checksum excepted."""
        headers = {"content-type": self.content_type}
        for name, value in self.metadata.items():
            headers[f"x-amz-meta-{name}"] = value
        return headers

    def text(self) -> str:
        """Return the options as the journal keeps them, the checksum excepted: to be compared."""
        return "\n".join(f"{name}: {value}" for name, value in sorted(self.headers().items()))
