"""Effects on the HTTP and the XML of a response, whether the server's or the proxy's own.

They add up: `Header("ETag", "drop") + Pace(1)` is a response without an ETag, byte for byte.
"""

from dataclasses import dataclass
from typing import Literal

from s3_uploader.testing.faults.delivery import Delivery, Where
from s3_uploader.testing.faults.documents import Change, with_elements, with_namespace
from s3_uploader.testing.faults.effects import Effect
from s3_uploader.testing.faults.http import Head, status_line
from s3_uploader.testing.faults.request import OPERATIONS, Request

DOCUMENTS = {
    "html": "<!DOCTYPE html>\n<html><head><title>Welcome</title></head>"
    "<body><p>Please log in.<br></body></html>\n",
    "error": '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code>'
    "<Message>Injected by a fault of the test.</Message></Error>",
    "error-with-namespace": '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>InternalError</Code>'
    "<Message>Injected by a fault of the test.</Message></Error>",
}
"""Bodies by their names: a captive portal's page, and errors that come with status 200."""

_WITH_BODY = tuple(name for name in OPERATIONS if not name.startswith("Head"))
_WITH_XML = (
    *("CreateMultipartUpload", "CompleteMultipartUpload", "CopyObject", "UploadPartCopy"),
    *("ListParts", "ListMultipartUploads", "ListObjects", "DeleteObjects"),
)


@dataclass(frozen=True)
class Status(Effect):
    """Changes the status to `to`, and nothing else of the response."""

    to: int

    def __post_init__(self) -> None:
        if self.to not in range(100, 1000):
            raise ValueError(f"to={self.to}: allowed: 100 to 999")

    def edit(self, head: Head, random_bits: int) -> None:
        """Change the first line."""
        del random_bits
        head.status, head.start = self.to, status_line(self.to)


@dataclass(frozen=True)
class Header(Effect):
    """Changes a header of the response.

    Without Content-Length and chunks, the response ends with its connection.

    Attributes:
        name: its name.
        change: "drop" removes it; "double" repeats it, the second time with `value` if that is
            given; "case" swaps upper and lower case in its name; "unquote" takes the quotes off
            its value; "set" gives it `value`, also where it was absent. Default "drop".
        value: as above.
    """

    name: str
    change: Literal["drop", "double", "case", "unquote", "set"] = "drop"
    value: str = ""

    def edit(self, head: Head, random_bits: int) -> None:
        """Change it."""
        del random_bits
        if self.change == "set":
            head.set(self.name, self.value)
            return
        wanted = self.name.lower().encode()
        head.headers = [
            new
            for name, value in head.headers
            for new in (self._changed(name, value) if name.lower() == wanted else [(name, value)])
        ]

    def _changed(self, name: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
        if self.change == "double":
            return [(name, value), (name, self.value.encode("latin-1") or value)]
        if self.change == "case":
            return [(name.swapcase(), value)]
        return [(name, value.strip(b'"'))] if self.change == "unquote" else []


@dataclass(frozen=True)
class ReplaceBody(Effect):
    """Puts another body into a response of status 200; `by` is its name in `DOCUMENTS`, or it."""

    by: str = ""
    operations = bodies = _WITH_BODY

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        """Return the other body."""
        del body, request, random_bits
        return DOCUMENTS.get(self.by, self.by).encode()


@dataclass(frozen=True)
class Truncate(Effect):
    """Cuts the body of a response of status 200 off after `keep` bytes; None for a random number.

    Content-Length says what is left; `Reset` cuts a body short of what it says.
    """

    keep: int | None = None
    operations = bodies = _WITH_BODY

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        """Return the beginning."""
        del request
        return body[: random_bits % (len(body) or 1) if self.keep is None else self.keep]


@dataclass(frozen=True)
class SetElement(Effect):
    """Sets every XML element of that name to `text`; None removes them."""

    element: str
    text: str | None = None
    operations = bodies = _WITH_XML

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        """Change the elements."""
        del request, random_bits
        return with_elements(body, self.element, self.text)


@dataclass(frozen=True)
class Namespace(Effect):
    """Changes the namespace of an XML document.

    Attributes:
        change: "drop": none; "wrong": another one; "prefix": S3's, every name with a prefix.
    """

    change: Change
    operations = bodies = _WITH_XML

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        """Change the document."""
        del request, random_bits
        return with_namespace(body, self.change)


@dataclass(frozen=True)
class Chunk(Effect):
    """Sends the body in chunks of at most `size` bytes, without Content-Length."""

    size: int = 1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size={self.size}: allowed: 1 and more")

    def deliver(self, delivery: Delivery, random_bits: int) -> None:
        """Frame it so."""
        del random_bits
        delivery.chunk = self.size


@dataclass(frozen=True)
class Pace(Effect):
    """Sends the whole response, its head too, `bytes` at a time and `seconds` after each."""

    bytes: int = 1
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.bytes < 1:
            raise ValueError(f"bytes={self.bytes}: allowed: 1 and more")

    def deliver(self, delivery: Delivery, random_bits: int) -> None:
        """Pace it so."""
        del random_bits
        delivery.pace = self.bytes, self.seconds


@dataclass(frozen=True)
class Flood(Effect):
    """Adds about `bytes` bytes that say nothing; as many as the client takes, in bounded memory.

    Attributes:
        where: "interim": responses of status 103 before it; "head": header lines; "body": line
            feeds at its end; "trailers": header lines after it; "after": empty responses of status
            200 that nobody asked for. With "body" and "trailers" it is sent in chunks.
        bytes: how many. Default 1 GiB.
    """

    where: Where
    bytes: int = 1 << 30

    def deliver(self, delivery: Delivery, random_bits: int) -> None:
        """Add them."""
        del random_bits
        delivery.added[self.where] += self.bytes
