"""S3's XML documents, as bytes. They have no attributes where this looks."""

import re
from typing import Literal
from xml.sax.saxutils import escape, unescape

Change = Literal["drop", "wrong", "prefix"]

_NAMESPACE = b"http://s3.amazonaws.com/doc/2006-03-01/"
_ROOT = re.compile(rb"<(?![?!])[^>]*>")
_XMLNS = re.compile(rb'\sxmlns="[^"]*"')
_TAG = re.compile(rb"<(/?)(?=[A-Za-z])")
_ETAG = re.compile(rb"(?<=<ETag>)[^<]*(?=</ETag>)")
_PART = re.compile(rb"<Part>.*?</Part>", re.DOTALL)


def text_of(xml: bytes, element: str) -> str:
    """Return the text of the first element of that name, "" if absent."""
    found = re.search(rb"<%b>([^<]*)</%b>" % ((element.encode(),) * 2), xml)
    return unescape(found[1].decode()) if found else ""


def with_text(xml: bytes, element: str, text: str) -> bytes:
    """Return `xml` with the first element of that name set, or made below the root."""
    whole = _element(element, text)
    old = _elements(element).search(xml)
    if old:
        return xml[: old.start()] + whole + xml[old.end() :]
    return _ROOT.sub(lambda root: root[0] + whole, xml, count=1)


def with_elements(xml: bytes, element: str, text: str | None) -> bytes:
    """Return `xml` with every element of that name set to `text`, or removed if None."""
    whole = b"" if text is None else _element(element, text)
    return _elements(element).sub(lambda _: whole, xml)


def with_etag(xml: bytes, etag: str) -> bytes:
    """Return `xml` with every ETag set to `etag`, in quotes."""
    return _ETAG.sub(f"&quot;{escape(etag)}&quot;".encode(), xml)


def with_part(xml: bytes, number: int, *, shorter_by: int | None) -> bytes:
    """Return a ListParts response with a part `shorter_by` bytes shorter, or left out if None."""

    def edited(match: re.Match[bytes]) -> bytes:
        part = match[0]
        if text_of(part, "PartNumber") != str(number):
            return part
        if shorter_by is None:
            return b""
        return with_text(part, "Size", str(max(0, int(text_of(part, "Size") or 0) - shorter_by)))

    return _PART.sub(edited, xml)


def with_namespace(xml: bytes, change: Change) -> bytes:
    """Return `xml` without a namespace, in another, or with a prefix before each name."""
    bare = _XMLNS.sub(b"", xml)
    if change == "drop":
        return bare
    declared, uri = b" xmlns", b"http://example.com/"
    if change == "prefix":
        bare = _TAG.sub(rb"<\1ns2:", bare)
        declared, uri = b" xmlns:ns2", _NAMESPACE
    attribute = b'%b="%b"' % (declared, uri)
    return _ROOT.sub(lambda root: _with_attribute(root[0], attribute), bare, count=1)


def _with_attribute(tag: bytes, attribute: bytes) -> bytes:
    end = -2 if tag.endswith(b"/>") else -1
    return tag[:end] + attribute + tag[end:]


def _element(name: str, text: str) -> bytes:
    return f"<{name}>{escape(text)}</{name}>".encode()


def _elements(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"<%b>[^<]*</%b>|<%b ?/>" % ((re.escape(name).encode(),) * 3))
