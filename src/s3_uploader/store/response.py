"""A whole HTTP response, whichever lane received it."""

from dataclasses import dataclass, field

from s3_uploader.store.document import Element, NotADocumentError, read_document

MAX_HEAD = 64 * 1024
"""Bytes of a response's headers and trailers together."""

MAX_BODY = 16 * 1024 * 1024
"""Bytes of the body of a response that is held in memory. The largest is a page of 1,000 open
uploads with keys of 1,024 bytes, each of them escaped: about 7 MiB."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response; header names are in lower case, the values of a repeated one joined by ", "."""

    status: int
    headers: dict[bytes, bytes] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    keep_alive: bool = False

    def header(self, name: bytes) -> str:
        """Return a header's value, "" if absent."""
        return self.headers.get(name, b"").decode("latin-1")

    def document(self) -> Element | None:
        """Return the root element of the body, None if it is no XML."""
        try:
            return read_document(self.body)
        except NotADocumentError:
            return None


def add_header(headers: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    """Add a header to those that came before it; one that only repeats another changes nothing.

    `name` is in lower case.
    """
    held = headers.get(name)
    headers[name] = value if held is None or held == value else held + b", " + value
