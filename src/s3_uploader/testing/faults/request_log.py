"""A record of each request the proxy has seen, and waiting for requests from other threads."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from s3_uploader.testing.faults.fault import ANY
from s3_uploader.testing.faults.request import Request


@dataclass(frozen=True, slots=True)
class Record:
    """One request as the proxy saw it; holds no header, and so no secret.

    Attributes:
        sequence: its number in the order of arrival, from 1.
        operation: S3 operation, or "Other".
        key: object key, "" for none.
        part, upload_id: None where it has none.
        body_bytes: bytes of its body that came, so far.
        fault: what was done to it, as text; None for nothing.
        status: of the response to the client; None for no response, or none yet.
        upstream_status: of the server's response; None if it was not asked or did not respond.
        response_bytes: bytes of the response that the client's connection took, head and framing
            included; 0 until the request is finished.
    """

    sequence: int
    operation: str
    key: str
    part: int | None
    upload_id: str | None
    body_bytes: int = 0
    fault: str | None = None
    status: int | None = None
    upstream_status: int | None = None
    response_bytes: int = 0

    def __str__(self) -> str:
        shown = {
            "part": self.part,
            "bytes": self.body_bytes,
            "fault": self.fault,
            "status": self.status,
            "upstream": self.upstream_status,
        }
        rest = " ".join(f"{name}={'-' if v is None else v}" for name, v in shown.items())
        return f"{self.sequence} {self.operation} {self.key!r} {rest}"


class RequestLog:
    """The records, in order of arrival; for use from any thread."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._counts: Counter[str] = Counter()
        self._changed = threading.Condition()

    def arrive(self, request: Request) -> Record:
        """Make the record of a request whose head has been received."""
        with self._changed:
            record = Record(
                len(self._records) + 1,
                request.operation,
                request.key,
                request.part,
                request.upload_id,
            )
            self._records.append(record)
            self._counts[request.operation] += 1
            self._counts[ANY] += 1
            self._changed.notify_all()
        return record

    def update(self, sequence: int, **changes: Any) -> Record:
        """Change a record."""
        with self._changed:
            record = replace(self._records[sequence - 1], **changes)
            self._records[sequence - 1] = record
        return record

    def records(self) -> list[Record]:
        """Return the records as they are now."""
        with self._changed:
            return list(self._records)

    def count(self, operation: str) -> int:
        """Return how many requests of an operation have arrived, of all for "*"."""
        with self._changed:
            return self._counts[operation]

    def wait_for(self, operation: str, n: int, timeout: float) -> None:
        """Block until `n` of them have arrived, or raise TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._counts[operation] >= n, timeout):
                seen = self._counts[operation]
                raise TimeoutError(f"{seen} of {n} requests {operation} arrived in {timeout} s")


Listener = Callable[[Record], None]
