"""What faults change in the server's answers. S3's XML has no attributes where this looks."""

import re
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from xml.sax.saxutils import escape, unescape

from s3_uploader.testing.faults.effects import Effect
from s3_uploader.testing.faults.http import Head
from s3_uploader.testing.faults.request import Request


@dataclass(frozen=True)
class WrongETag(Effect):
    """Changes the ETag that is answered, in head and XML; None draws one."""

    etag: str | None = None
    operations = (
        *("PutObject", "UploadPart", "CompleteMultipartUpload", "CopyObject", "UploadPartCopy"),
        *("HeadObject", "GetObject"),
    )
    bodies = ("CompleteMultipartUpload", "CopyObject", "UploadPartCopy")

    def edit(self, head: Head, draw: int) -> None:
        """Change the header, where there is one."""
        if head.get("etag"):
            head.set("ETag", f'"{self._etag(draw)}"')

    def edit_body(self, body: bytes, request: Request, draw: int) -> bytes:
        """Change the element."""
        del request
        return _with_etag(body, self._etag(draw))

    def _etag(self, draw: int) -> str:
        return f"{draw:032x}" if self.etag is None else self.etag


@dataclass(frozen=True)
class DropMetadata(Effect):
    """Leaves x-amz-meta-* out of answers, as a store does that does not keep it."""

    operations = ("HeadObject", "GetObject")

    def edit(self, head: Head, draw: int) -> None:
        """Remove the headers."""
        del draw
        head.drop("x-amz-meta-")


@dataclass(frozen=True)
class MissingPart(Effect):
    """Leaves a part out of ListParts."""

    part: int
    operations = bodies = ("ListParts",)

    def edit_body(self, body: bytes, request: Request, draw: int) -> bytes:
        """Remove the part."""
        del request, draw
        return _with_part(body, self.part, shorter_by=None)


@dataclass(frozen=True)
class ShortPart(Effect):
    """Makes a part in ListParts `by` bytes smaller than it is."""

    part: int
    by: int = 1
    operations = bodies = ("ListParts",)

    def edit_body(self, body: bytes, request: Request, draw: int) -> bytes:
        """Change the part's size."""
        del request, draw
        return _with_part(body, self.part, shorter_by=self.by)


@dataclass(frozen=True)
class RepeatToken(Effect):
    """Makes listings endless: each says that there is more, and names the same token again."""

    operations = bodies = ("ListParts", "ListMultipartUploads", "ListObjects")

    def edit_body(self, body: bytes, request: Request, draw: int) -> bytes:
        """Name the token the request came with, or the first thing listed."""
        del draw
        body = _with_text(body, "IsTruncated", "true")
        v2 = request.query.get("list-type") == "2"
        for parameter, element, first in _TOKENS[request.operation]:
            if v2 != (parameter == "continuation-token") and request.operation == "ListObjects":
                continue
            token = request.query.get(parameter, "0")
            token = token if token not in {"", "0"} else _text_of(body, first) or "1"
            body = _with_text(body, element, token)
        return body


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
"""Of each listing: the parameter that continues it, the element that names it, and where a first
value is taken from."""


@dataclass(frozen=True)
class SkewDate(Effect):
    """Shifts the Date of answers by `seconds`."""

    seconds: float

    def edit(self, head: Head, draw: int) -> None:
        """Change the header."""
        del draw
        if head.get("date"):
            date = parsedate_to_datetime(head.get("date")).timestamp()
            head.set("Date", formatdate(date + self.seconds, usegmt=True))


_PART = re.compile(rb"<Part>.*?</Part>", re.DOTALL)
_ROOT = re.compile(rb"<(?![?!])[^>]*>")
_ETAG = re.compile(rb"(?<=<ETag>)[^<]*(?=</ETag>)")


def _text_of(xml: bytes, element: str) -> str:
    """Return the text of the first element of that name, "" if absent."""
    found = re.search(rb"<%b>([^<]*)</%b>" % ((element.encode(),) * 2), xml)
    return unescape(found[1].decode()) if found else ""


def _with_text(xml: bytes, element: str, text: str) -> bytes:
    """Return `xml` with the first element of that name set, or made below the root."""
    name = element.encode()
    whole = b"<%b>%b</%b>" % (name, escape(text).encode(), name)
    old = re.search(rb"<%b>[^<]*</%b>|<%b ?/>" % (name, name, name), xml)
    if old:
        return xml[: old.start()] + whole + xml[old.end() :]
    return _ROOT.sub(lambda root: root[0] + whole, xml, count=1)


def _with_etag(xml: bytes, etag: str) -> bytes:
    """Return `xml` with every ETag set to `etag`, in quotes."""
    return _ETAG.sub(f"&quot;{escape(etag)}&quot;".encode(), xml)


def _with_part(xml: bytes, number: int, *, shorter_by: int | None) -> bytes:
    """Return a ListParts answer with a part made shorter by so many bytes, or left out if None."""

    def edited(match: re.Match[bytes]) -> bytes:
        part = match[0]
        if _text_of(part, "PartNumber") != str(number):
            return part
        if shorter_by is None:
            return b""
        return _with_text(part, "Size", str(max(0, int(_text_of(part, "Size") or 0) - shorter_by)))

    return _PART.sub(edited, xml)
