"""The floor: read files, send ready-made unsigned requests from blocking threads, nothing else.

No hashing, no signature, no retry, no check: only what any client on this machine must pay.
"""

import os
import queue
import re
import socket
import sys
import threading
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from benchmarks.contenders.job import Item, Job

PART = 8 * 1024 * 1024
BUFFER = 1024 * 1024
ETAG = re.compile(rb"ETag: \"([^\"]*)\"", re.IGNORECASE)
UPLOAD_ID = re.compile(rb"<UploadId>([^<]*)")


class Line:
    """One connection with one buffer; every call is one request."""

    def __init__(self, job: Job) -> None:
        parts = urlsplit(job.endpoint)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bucket = job.bucket
        self._buffer = memoryview(bytearray(BUFFER))

    def ask(self, method: str, target: str, body: bytes = b"") -> bytes:
        """Send a small request and return the response, head and body."""
        self._socket.sendall(self._head(method, target, len(body)) + body)
        return self._response()

    def put_small(self, item: Item) -> None:
        """Send a file of at most one buffer, head and body in one write."""
        head = self._head("PUT", quote(item.key), item.size)
        start = len(head)
        self._buffer[:start] = head
        file = os.open(item.path, os.O_RDONLY)
        read = os.preadv(file, [self._buffer[start : start + item.size]], 0)
        os.close(file)
        assert read == item.size
        self._socket.sendall(self._buffer[: start + read])
        self._response()

    def put(self, target: str, file: int, offset: int, size: int) -> bytes:
        """Send a range of a file through the buffer."""
        self._socket.sendall(self._head("PUT", target, size))
        end = offset + size
        while offset < end:
            read = os.preadv(file, [self._buffer[: min(BUFFER, end - offset)]], offset)
            self._socket.sendall(self._buffer[:read])
            offset += read
        return self._response()

    def _head(self, method: str, target: str, length: int) -> bytes:
        return (
            f"{method} /{self._bucket}/{target} HTTP/1.1\r\n"
            f"Host: sink\r\nContent-Length: {length}\r\n\r\n"
        ).encode()

    def _response(self) -> bytes:
        response = self._socket.recv(65536)
        if not response.startswith(b"HTTP/1.1 200"):
            raise OSError(response)
        return response


def in_threads(count: int, job: Job, work: Iterator[Item]) -> None:
    """Send small files from `count` threads over one shared iterator."""
    lock = threading.Lock()

    def run() -> None:
        line = Line(job)
        while True:
            with lock:
                item = next(work, None)
            if item is None:
                return
            line.put_small(item)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def send_large(job: Job, item: Item, count: int) -> None:
    """Send one file in parts from `count` threads."""
    key = quote(item.key)
    found = UPLOAD_ID.search(Line(job).ask("POST", f"{key}?uploads"))
    assert found is not None
    upload = found[1].decode()
    starts: queue.SimpleQueue[int] = queue.SimpleQueue()
    for start in range(0, item.size, PART):
        starts.put(start)
    etags: dict[int, str] = {}
    file = os.open(item.path, os.O_RDONLY)

    def run() -> None:
        line = Line(job)
        while not starts.empty():
            try:
                start = starts.get_nowait()
            except queue.Empty:
                return
            number = start // PART + 1
            target = f"{key}?partNumber={number}&uploadId={upload}"
            response = line.put(target, file, start, min(PART, item.size - start))
            etag = ETAG.search(response)
            assert etag is not None
            etags[number] = etag[1].decode()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(file)
    listed = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in sorted(etags.items())
    )
    document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
    Line(job).ask("POST", f"{key}?uploadId={upload}", document.encode())


def give_up(failure: threading.ExceptHookArgs) -> None:
    """End with an error: a thread's exception would otherwise go unnoticed."""
    print(failure.exc_value, file=sys.stderr, flush=True)
    os._exit(1)


def main() -> int:
    """Upload; the sink's counts show whether it was all."""
    job = Job.from_argv()
    threading.excepthook = give_up
    slow_line = os.environ.get("BENCH_LINE") == "slow"
    small_threads, large_threads = (128, 16) if slow_line else (2, 4)
    small: list[Item] = []
    for item in job.items():
        if item.size < BUFFER - 4096:
            small.append(item)
        else:
            send_large(job, item, large_threads)
    if small:
        in_threads(small_threads, job, iter(small))
    return 0


if __name__ == "__main__":
    sys.exit(main())
