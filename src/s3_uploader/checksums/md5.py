"""MD5, as ETags and Content-MD5 use it: against accidents, not against attackers."""

import hashlib
from base64 import b64encode


def new() -> "hashlib._Hash":
    """Start an MD5."""
    return hashlib.md5(usedforsecurity=False)


def md5_of(data: bytes | memoryview) -> str:
    """Return the MD5 of `data` in hex."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def content_md5(md5: str) -> str:
    """Return a hex MD5 as the header Content-MD5 writes it (RFC 1864)."""
    return b64encode(bytes.fromhex(md5)).decode()
