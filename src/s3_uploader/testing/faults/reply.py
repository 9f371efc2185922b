"""Responses that the proxy makes itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from xml.sax.saxutils import escape

from s3_uploader.testing.faults.http import Head, status_line

_CODES = {
    400: "InvalidRequest",
    403: "AccessDenied",
    404: "NoSuchKey",
    409: "OperationAborted",
    412: "PreconditionFailed",
    413: "EntityTooLarge",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    503: "SlowDown",
}
"""What stores put into `<Code>` with these statuses; others come from proxies, without XML."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A response of the proxy.

    Attributes:
        status: HTTP status.
        code: `<Code>` of the XML error in the body; None takes the usual one of the status, ""
            sends no body.
        headers: further headers; they replace those that every response has.
        body: the body, instead of the XML error.
        early: sent when the head has come, before any of the body is read; then the connection is
            closed. Otherwise the body is read first, and the connection stays open.
    """

    status: int
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    early: bool = False

    def head(self, *, number: int, close: bool) -> Head:
        """Return the head of the response to request `number`."""
        headers = {
            "Date": formatdate(usegmt=True),
            "Content-Type": "application/xml",
            "Content-Length": str(len(self.content)),
            "x-amz-request-id": f"FAULT{number:011d}",
            **({"Connection": "close"} if close else {}),
            **self.headers,
        }
        lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        return Head(b"", status_line(self.status), lines, status=self.status)

    @property
    def content(self) -> bytes:
        """The body as bytes."""
        return self._body().encode()

    def _body(self) -> str:
        code = _CODES.get(self.status, "") if self.code is None else self.code
        if self.body is not None or not code:
            return self.body or ""
        message = "Injected by a fault of the test."
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{escape(code)}</Code><Message>{message}</Message></Error>"
        )
