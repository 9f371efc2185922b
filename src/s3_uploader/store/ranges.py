"""Ask for a range of an object, and decide, without I/O, whether a response carries exactly that.

A store or a proxy that ignores Range or If-Match sends other bytes with a success. Shared by every
lane.
"""

import re
from dataclasses import dataclass

from s3_uploader.store import results
from s3_uploader.store.errors import Request, error_from_response
from s3_uploader.store.response import Response

_OK, _PARTIAL, _PRECONDITION_FAILED = 200, 206, 412
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")
_LENGTH = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Range:
    """What is wanted of an object: `size` bytes from `offset`, or all from there; of one version.

    Raises:
        ValueError: no object has such a range.
    """

    offset: int = 0
    size: int | None = None
    etag: str = ""

    def __post_init__(self) -> None:
        if self.offset < 0 or (self.size is not None and self.size < 1):
            raise ValueError(f"no range of an object: offset={self.offset}, size={self.size}")

    @property
    def header(self) -> str:
        """The Range header, "" for a whole object."""
        if self.size is None:
            return f"bytes={self.offset}-" if self.offset else ""
        return f"bytes={self.offset}-{self.offset + self.size - 1}"

    @property
    def if_match(self) -> str:
        """The If-Match header, "" for any version."""
        return f'"{self.etag}"' if self.etag else ""

    def announced(self, request: Request, response: Response) -> int | None:
        """Return the bytes the body of a success must have, None where only its chunks show.

        Raises:
            StoreError: "store.bad_response": the response carries another range, does not say how
                long its body is, or has no ETag; "store.precondition": it carries another version.
        """
        if response.status not in {_OK, _PARTIAL}:
            raise results.bad_response(request, response, f"{response.status} instead of 200")
        etag = results.receipt(request, response).etag
        if self.etag and etag != self.etag:
            raise error_from_response(request, _PRECONDITION_FAILED, "", "")
        length = self._framed(request, response)
        found = response.header(b"content-range")
        if not found:
            # The whole object: it is what was asked for only where that was the whole.
            whole = not self.offset and self.size in {None, length}
            if response.status != _OK or not whole:
                raise results.bad_response(request, response, "no Content-Range in it")
            return length
        # rclone sends a range with status 200, and says truly which.
        size = self._brought(found)
        if size is None or length not in {None, size}:
            raise results.bad_response(request, response, "a range that was not asked for")
        return size

    def _brought(self, content_range: str) -> int | None:
        """Return the bytes of a Content-Range, None if it is not exactly what was asked for."""
        match = _CONTENT_RANGE.fullmatch(content_range.strip())
        if match is None:
            return None
        first, last = int(match[1]), int(match[2])
        end = self.offset + self.size - 1 if self.size is not None else None
        if end is None and match[3] != "*":
            end = int(match[3]) - 1
        return last - first + 1 if (first, last) == (self.offset, end) else None

    def _framed(self, request: Request, response: Response) -> int | None:
        """Return the Content-Length, None for a body in chunks.

        One that only the closing of the connection ends may have been cut there.
        """
        length = response.header(b"content-length").strip()
        if _LENGTH.fullmatch(length):
            return int(length)
        if response.header(b"transfer-encoding").strip().lower() == "chunked":
            return None
        raise results.bad_response(request, response, "no length of its body in it")


def check_received(
    request: Request, response: Response, received: int, announced: int | None, *, ended: bool
) -> None:
    """Raise StoreError "store.bad_response" for a body that is longer than announced.

    With `ended`, also for one that is shorter.
    """
    if announced is None or received == announced or (received < announced and not ended):
        return
    raise results.bad_response(request, response, f"{received} bytes instead of {announced}")
