"""The null sink in a process of its own: `with Sink() as sink: ... sink.stats()`.

By hand: `python -m benchmarks.sink --etag opaque --port 9000`; its options are in sink/main.c.
"""

import http.client
import json
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from benchmarks.build import built

from s3_uploader.testing.process import ServerProcess


@dataclass(frozen=True, slots=True)
class Line:
    """A slow line: round trip in milliseconds, speeds in 10^6 bytes a second."""

    rtt_ms: float = 60.0
    per_connection_mbps: float = 12.5
    total_mbps: float = 125.0

    def options(self) -> list[str]:
        """Return the sink's options."""
        return [
            f"--rtt-ms={self.rtt_ms}",
            f"--per-connection-mbps={self.per_connection_mbps}",
            f"--total-mbps={self.total_mbps}",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkStats:
    """What the sink counted since its start or the last reset.

    Attributes:
        requests: S3 requests of all kinds; `operations` has them by kind.
        errors: requests whose response was an error.
        body_bytes: bytes of object data received, without any framing.
        objects, object_bytes: objects that exist now.
        commits: PutObject and CompleteMultipartUpload that succeeded; more than `objects` if
            something was sent twice.
        connections: connections that carried an S3 request.
        peak_in_flight: most requests served at one time.
        open_uploads: multipart uploads neither completed nor aborted.
        sink_cpu_seconds: the sink's own CPU time.
    """

    requests: int
    operations: dict[str, int]
    errors: int
    body_bytes: int
    objects: int
    object_bytes: int
    commits: int
    committed_bytes: int
    connections: int
    peak_in_flight: int
    open_uploads: int
    sink_cpu_seconds: float
    etag: str


class Sink:
    """A running sink on a free loopback port; a context manager.

    Args:
        etag: "md5" gives the ETags of Amazon S3, which costs the sink CPU and needs libcrypto;
            "opaque" gives ETags that are no MD5.
        line: the line to imitate; None is as fast as the machine.
        libcrypto: the library's file; None looks where the system has it.

    Attributes:
        url: the endpoint.

    Raises:
        ServerError: on entering: it does not start, for want of libcrypto for instance.
    """

    def __init__(
        self,
        etag: Literal["md5", "opaque"] = "md5",
        line: Line | None = None,
        *,
        libcrypto: str | None = None,
    ) -> None:
        self._options = [f"--etag={etag}", *(line.options() if line else [])]
        if libcrypto is not None:
            self._options.append(f"--libcrypto={libcrypto}")
        self._stack = ExitStack()
        self.url = ""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            process = stack.enter_context(ServerProcess([built("sink"), *self._options]))
            # Its first line is the endpoint; anything else is why it ends.
            process.wait_until(lambda: _is_endpoint(process.output))
            self.url = process.output.strip()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def stats(self) -> SinkStats:
        """Return the counts."""
        return SinkStats(**json.loads(self._ask("GET", "/__stats")))

    def reset(self) -> None:
        """Set all counts to zero and forget all objects."""
        self._ask("POST", "/__reset")

    def _ask(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()


def _is_endpoint(output: str) -> bool:
    return output.startswith("http://") and output.endswith("\n")


if __name__ == "__main__":
    program = built("sink")
    os.execv(program, [program, *sys.argv[1:]])  # noqa: S606  (no shell is wanted)
