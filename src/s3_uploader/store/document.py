"""The XML of S3: read elements by name, whatever their namespace or prefix; write the parts.

Expat itself, without ElementTree: every multipart upload reads a response, and ElementTree takes
longer to import than expat takes to read it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from xml.parsers import expat

_MAX_ELEMENTS = 100_000
"""A page of 1,000 uploads has about 10,000."""

_MAX_DEPTH = 50


class NotADocumentError(Exception):
    """The bytes are no XML, or none that a store sends."""


@dataclass(slots=True)
class Element:
    """An element; `name` is without namespace, `text` what stands in it outside of `children`."""

    name: str
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, name: str) -> Iterator["Element"]:
        """Yield the children of that name."""
        return (child for child in self.children if child.name == name)

    def value(self, name: str) -> str | None:
        """Return the text of the first child of that name, None if there is no such child."""
        return next((child.text for child in self.all(name)), None)


def read_document(data: bytes) -> Element:
    """Return the root element of a document.

    White space before it is skipped: S3 sends it to keep a connection alive while it completes an
    upload.

    Raises:
        NotADocumentError: it is not well-formed, declares a document type, or is too deep or large.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(data.lstrip(), True)  # noqa: FBT003  (expat's signature)
    except (expat.ExpatError, ValueError, LookupError) as error:
        # ValueError, LookupError: an encoding that Python does not know.
        raise NotADocumentError(str(error)) from error
    return reader.root


def parts_document(parts: Iterable[tuple[int, str]]) -> bytes:
    """Return the body of CompleteMultipartUpload: number and ETag of each part."""
    lines = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag, quote=False)}</ETag></Part>"
        for number, etag in parts
    )
    return (
        f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{lines}'
        "</CompleteMultipartUpload>"
    ).encode()


class _Reader:
    """Builds elements from what expat reports."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.root = Element("")
        self._open: list[Element] = []
        self._count = 0

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MAX_ELEMENTS or len(self._open) >= _MAX_DEPTH:
            raise NotADocumentError("too large")
        element = Element(name.rpartition(":")[2])
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _text(self, data: str) -> None:
        self._open[-1].text += data

    def _refuse(self, *_declaration: object) -> None:
        # Entities, which can grow without bound, are declared there; no store sends one.
        raise NotADocumentError("a document type")
