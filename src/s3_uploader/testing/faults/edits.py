"""Effects on what S3 says in a response: ETags, metadata, parts, markers of listings, dates."""

from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

from s3_uploader.testing.faults.documents import text_of, with_etag, with_part, with_text
from s3_uploader.testing.faults.effects import Effect
from s3_uploader.testing.faults.http import Head
from s3_uploader.testing.faults.request import Request


@dataclass(frozen=True)
class WrongETag(Effect):
    """Changes the ETag of the response, in head and XML; None for a random one."""

    etag: str | None = None
    operations = (
        *("PutObject", "UploadPart", "CompleteMultipartUpload", "CopyObject", "UploadPartCopy"),
        *("HeadObject", "GetObject"),
    )
    bodies = ("CompleteMultipartUpload", "CopyObject", "UploadPartCopy")

    def edit(self, head: Head, random_bits: int) -> None:
        """Change the header, where there is one."""
        if head.get("etag"):
            head.set("ETag", f'"{self._etag(random_bits)}"')

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        """Change the element."""
        del request
        return with_etag(body, self._etag(random_bits))

    def _etag(self, random_bits: int) -> str:
        return f"{random_bits:032x}" if self.etag is None else self.etag


@dataclass(frozen=True)
class DropMetadata(Effect):
    """Leaves x-amz-meta-* out of responses, as a store does that does not keep it."""

    operations = ("HeadObject", "GetObject")

    def edit(self, head: Head, random_bits: int) -> None:
        """Remove the headers."""
        del random_bits
        head.drop("x-amz-meta-")


@dataclass(frozen=True)
class MissingPart(Effect):
    """Leaves a part out of ListParts."""

    part: int
    operations = bodies = ("ListParts",)

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        """Remove the part."""
        del request, random_bits
        return with_part(body, self.part, shorter_by=None)


@dataclass(frozen=True)
class ShortPart(Effect):
    """Makes a part in ListParts `by` bytes smaller than it is."""

    part: int
    by: int = 1
    operations = bodies = ("ListParts",)

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        """Change the part's size."""
        del request, random_bits
        return with_part(body, self.part, shorter_by=self.by)


@dataclass(frozen=True)
class RepeatToken(Effect):
    """Makes listings endless: each says that there is more, and names a token to continue with.

    Attributes:
        ring: how many tokens there are before the first comes again; 0 names a new one each time.
            Default 1: the token the request came with, or the first thing listed.
    """

    ring: int = 1
    operations = bodies = ("ListParts", "ListMultipartUploads", "ListObjects")

    def __post_init__(self) -> None:
        if self.ring < 0:
            raise ValueError(f"ring={self.ring}: allowed: 0 and more")

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        """Name the tokens."""
        del random_bits
        body = with_text(body, "IsTruncated", "true")
        v2 = request.query.get("list-type") == "2"
        for parameter, element, first in _TOKENS[request.operation]:
            if v2 != (parameter == "continuation-token") and request.operation == "ListObjects":
                continue
            token = self._following(request.query.get(parameter, ""))
            body = with_text(body, element, token or text_of(body, first) or "1")
        return body

    def _following(self, token: str) -> str:
        """Return the token after `token`, "" after none; that of a number is a number."""
        # "0" is how a listing of parts begins.
        if token in {"", "0"}:
            return ""
        if self.ring == 1:
            return token
        stem, _, count = token.rpartition("~")
        if not count.isdecimal():
            stem, count = token, "1"
        number = int(count) % self.ring + 1 if self.ring else int(count) + 1
        return (f"{stem}~{number}" if number > 1 else stem) if stem else str(number)


_TOKENS = {
    "ListParts": [("part-number-marker", "NextPartNumberMarker", "PartNumber")],
    "ListMultipartUploads": [
        ("key-marker", "NextKeyMarker", "Key"),
        ("upload-id-marker", "NextUploadIdMarker", "UploadId"),
    ],
    "ListObjects": [
        ("marker", "NextMarker", "Key"),
        ("continuation-token", "NextContinuationToken", "Key"),
    ],
}
"""For each listing: the parameter that continues it, the element that names it, and the element
that a first value is taken from."""


@dataclass(frozen=True)
class SkewDate(Effect):
    """Shifts the Date of responses by `seconds`."""

    seconds: float

    def edit(self, head: Head, random_bits: int) -> None:
        """Change the header."""
        del random_bits
        if head.get("date"):
            date = parsedate_to_datetime(head.get("date")).timestamp()
            head.set("Date", formatdate(date + self.seconds, usegmt=True))
