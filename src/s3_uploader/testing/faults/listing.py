"""Edits of the XML that S3 answers with. Its elements have no attributes where this looks."""

import re
from xml.sax.saxutils import escape, unescape

_PART = re.compile(rb"<Part>.*?</Part>", re.DOTALL)
_ROOT = re.compile(rb"<(?![?!])[^>]*>")
_ETAG = re.compile(rb"(?<=<ETag>)[^<]*(?=</ETag>)")


def text_of(xml: bytes, element: str) -> str:
    """Return the text of the first element of that name, "" if absent."""
    found = re.search(rb"<%b>([^<]*)</%b>" % ((element.encode(),) * 2), xml)
    return unescape(found[1].decode()) if found else ""


def with_text(xml: bytes, element: str, text: str) -> bytes:
    """Return `xml` with the first element of that name set, or made below the root."""
    name = element.encode()
    whole = b"<%b>%b</%b>" % (name, escape(text).encode(), name)
    old = re.search(rb"<%b>[^<]*</%b>|<%b ?/>" % (name, name, name), xml)
    if old:
        return xml[: old.start()] + whole + xml[old.end() :]
    return _ROOT.sub(lambda root: root[0] + whole, xml, count=1)


def with_etag(xml: bytes, etag: str) -> bytes:
    """Return `xml` with every ETag set to `etag`, in quotes."""
    return _ETAG.sub(f"&quot;{escape(etag)}&quot;".encode(), xml)


def with_part(xml: bytes, number: int, *, shorter_by: int | None) -> bytes:
    """Return a ListParts answer with a part made shorter by so many bytes, or left out if None."""

    def edited(match: re.Match[bytes]) -> bytes:
        part = match[0]
        if text_of(part, "PartNumber") != str(number):
            return part
        if shorter_by is None:
            return b""
        return with_text(part, "Size", str(max(0, int(text_of(part, "Size")) - shorter_by)))

    return _PART.sub(edited, xml)
