"""The fault proxy before the real server: what each fault does, and what passes untouched."""

import http.client
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from conftest import Bucket
from presigned import Client, Connect
from s3_uploader import UploadConfig, Uploader
from s3_uploader.testing import (
    ClockSkew,
    Drip,
    Effect,
    Fault,
    FaultProxy,
    FlipBit,
    LimitBody,
    LocalS3Server,
    LoseResponse,
    Record,
    Reset,
    Respond,
    ShortPart,
    Stall,
    StartFaultProxy,
    WrongETag,
    parse_fault,
)
from s3_uploader.testing.faults.fault import Schedule
from s3_uploader.testing.faults.http import Head
from s3_uploader.testing.faults.request import Request
from s3_uploader.testing.faults.spec import EFFECTS, fault_text
from trees import make_tree

pytest_plugins = ["s3_uploader.testing.pytest_plugin"]

_BROKEN = (ConnectionError, http.client.HTTPException)


def noise(size: int, *, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311  (repeatable, no secret)


def statuses(proxy: FaultProxy) -> list[tuple[int | None, int | None]]:
    return [(record.status, record.upstream_status) for record in proxy.log]


def test_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    found = re.search(r"### Injecting faults.*?```python\n(.*?)```", readme, re.DOTALL)
    assert found
    tmp_path.joinpath("config.json").write_bytes(b"abc")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", found[1]], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# -------------------------------------------------------------------------------- what passes


def test_bodies_pass_byte_for_byte_over_one_connection(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    proxy = s3_fault_proxy(server)
    client = client_of(proxy)
    sockets = set()
    with closing(client.connect()) as connection:
        for size in (0, 1, 300_001, 3_000_000):
            data = noise(size, seed=size)
            assert client.call("PutObject", data, over=connection, Key=prefix).status == 200
            sockets.add(connection.sock)
            assert client.call("GetObject", over=connection, Key=prefix).body == data
            head = client.call("HeadObject", over=connection, Key=prefix)
            assert head.headers["content-length"] == str(size)
    assert len(sockets) == 1
    assert proxy.body_bytes == 3_300_002
    assert [record.operation for record in proxy.log[:3]] == [
        "PutObject",
        "GetObject",
        "HeadObject",
    ]
    assert set(statuses(proxy)) == {(200, 200)}


def test_requests_signed_in_headers_pass_from_many_threads(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    """This client also sends Expect: 100-continue."""
    proxy = s3_fault_proxy(server)
    s3 = client_of(proxy).s3
    bodies = {f"{prefix}/{n}": noise(200_000 + n, seed=n) for n in range(16)}

    def there_and_back(key: str) -> bool:
        s3.put_object(Bucket=server.bucket, Key=key, Body=bodies[key])
        with s3.get_object(Bucket=server.bucket, Key=key)["Body"] as body:
            return bool(body.read() == bodies[key])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, bodies))
    assert proxy.count() == 32
    assert server.secret_key not in repr(proxy.log)
    assert "Signature" not in repr(proxy.log)
    assert server.access_key not in repr(proxy.log) + str(proxy.log[0])


@pytest.mark.anyio
async def test_upload_survives_faults_that_a_retry_cures(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    bucket: Bucket,
    prefix: str,
    tmp_path: Path,
) -> None:
    files = make_tree(tmp_path / "tree", {"a": 12_000_000, "b": 3})
    proxy = s3_fault_proxy(
        server,
        "UploadPart:503:first=2",
        "UploadPart:reset:after=1000:nth=4",
        "PutObject:lose:nth=1",
        "CompleteMultipartUpload:524:nth=1",
    )
    config = UploadConfig(
        backoff_base=0.01, part_size=5 * 1024 * 1024, multipart_threshold=5 * 1024 * 1024
    )
    async with Uploader(proxy.profile(server), config=config) as uploader:
        report = await uploader.upload_directory(tmp_path / "tree", prefix)
    assert (report.success, report.failed) == (2, 0)
    assert {record.fault for record in proxy.log} == {
        None,
        "UploadPart:503:first=2",
        "UploadPart:reset:after=1000:nth=4",
        "PutObject:lose:nth=1",
        "CompleteMultipartUpload:524:nth=1",
    }
    assert {name: len(data) for name, data in bucket.tree(prefix).items()} == {
        "a": 12_000_000,
        "b": 3,
    }
    assert set(proxy.part_bytes) == {(f"{prefix}/a", number) for number in (1, 2, 3)}
    assert sum(proxy.part_bytes.values()) > 12_000_000
    assert files


def test_chunked_body_passes_and_can_be_changed(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    proxy = s3_fault_proxy(server, "PutObject:flip:at=4:bit=1:nth=2")
    client = client_of(proxy)
    for expected in (b"abcdefg", b"abcdgfg"):
        body = iter([b"abc", b"defg"])
        assert client.call("PutObject", body, Key=prefix).status == 200
        assert client.call("GetObject", Key=prefix).body == expected
    assert proxy.log[0].body_bytes == 7


@pytest.mark.parametrize(
    ("fault", "first_line"),
    [
        ("*:404:key=no", b"HTTP/1.1 100 Continue\r\n"),
        ("*:503", b"HTTP/1.1 503 Service Unavailable\r\n"),
    ],
)
def test_client_that_expects_100_continue_gets_it_or_the_refusal(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    client_of: Connect,
    prefix: str,
    fault: str,
    first_line: bytes,
) -> None:
    proxy = s3_fault_proxy(server, fault)
    client = client_of(proxy)
    method, target = client.target("PutObject", Key=prefix)
    head = f"{method} {target} HTTP/1.1\r\nHost: {client.address}\r\nContent-Length: 3\r\n"
    host, port = client.address.split(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as sock,
        sock.makefile("rb") as lines,
    ):
        sock.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert lines.readline() == first_line
        if b"100" in first_line:
            assert lines.readline() == b"\r\n"
            sock.sendall(b"abc")
            assert lines.readline() == b"HTTP/1.1 200 OK\r\n"
    assert proxy.log[0].body_bytes == (3 if b"100" in first_line else 0)


def test_server_may_speak_https(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    good = client_of(s3_fault_proxy(server.https_url, ca_bundle=server.ca_bundle))
    assert good.call("PutObject", b"x" * 100_000, Key=prefix).status == 200
    assert good.call("GetObject", Key=prefix).body == b"x" * 100_000
    distrusting = client_of(s3_fault_proxy(server.https_url))
    assert distrusting.call("GetObject", Key=prefix).status == 502


def test_unreachable_server_is_a_502_that_says_so(
    s3_fault_proxy: StartFaultProxy, client_of: Connect
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    proxy = s3_fault_proxy(f"http://127.0.0.1:{port}")
    got = client_of(proxy).call("PutObject", b"abc", Key="k")
    assert (got.status, b"no response from the server" in got.body) == (502, True)
    assert statuses(proxy) == [(502, None)]


@contextmanager
def plain_server(serve: Callable[[socket.socket], object]) -> Iterator[str]:
    """Give each connection to `serve` in turn; close it then."""

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with sock:
                    serve(sock)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_response_before_the_body_is_passed_at_once(
    s3_fault_proxy: StartFaultProxy, client_of: Connect
) -> None:
    """A server that responds to the head, and never reads the body."""
    ended = threading.Event()

    def refuse(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        ended.wait(20)

    with plain_server(refuse) as url:
        proxy = s3_fault_proxy(url)
        with closing(client_of(proxy).connect()) as connection:
            connection.putrequest("PUT", "/b/k")
            connection.putheader("Content-Length", str(100_000_000))
            connection.endheaders()
            connection.send(bytes(1000))
            assert connection.getresponse().read() == b"no"
        ended.set()
    assert statuses(proxy) == [(403, 403)]


def test_connection_to_the_server_is_kept_and_replaced_once_closed(
    s3_fault_proxy: StartFaultProxy, client_of: Connect
) -> None:
    """A server that serves two requests on each connection, then closes it without notice."""
    served: list[int] = []
    closed = threading.Semaphore(0)

    def serve(sock: socket.socket) -> None:
        for number in (1, 2):
            sock.recv(10_000)
            served.append(number)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        sock.shutdown(socket.SHUT_RDWR)
        closed.release()

    with plain_server(serve) as url:
        client = client_of(s3_fault_proxy(url))
        with closing(client.connect()) as connection:
            for _ in range(2):
                for _ in range(2):
                    assert client.call("GetObject", over=connection, Key="k").status == 200
                assert closed.acquire(timeout=10)
    assert served == [1, 2, 1, 2]


def test_response_without_a_length_ends_with_its_connection(
    s3_fault_proxy: StartFaultProxy, client_of: Connect
) -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(10_000)
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(100_000))

    with plain_server(serve) as url:
        client = client_of(s3_fault_proxy(url))
        assert client.call("GetObject", Key="k").body == bytes(100_000)


# ------------------------------------------------------------------------------------- effects


@pytest.mark.parametrize(
    ("effect", "status", "code", "header"),
    [
        (Respond(524), 524, "", ("", "")),
        (Respond(503), 503, "SlowDown", ("", "")),
        (Respond(429, headers={"Retry-After": "3"}), 429, "TooManyRequests", ("Retry-After", "3")),
        (Respond(507, body="full"), 507, "", ("Content-Length", "4")),
        (Respond(307, headers={"Location": "http://x/y"}), 307, "", ("Location", "http://x/y")),
        (Respond(200, "InternalError"), 200, "InternalError", ("", "")),
        (Respond(404, "NoSuchUpload"), 404, "NoSuchUpload", ("", "")),
    ],
)
def test_respond_before_reads_the_body_and_keeps_it_from_the_server(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    client_of: Connect,
    bucket: Bucket,
    prefix: str,
    effect: Respond,
    status: int,
    code: str,
    header: tuple[str, str],
) -> None:
    proxy = s3_fault_proxy(server, Fault("PutObject", effect, first=1))
    client = client_of(proxy)
    with closing(client.connect()) as connection:
        got = client.call("PutObject", bytes(70_000), over=connection, Key=prefix)
        assert (got.status, got.code) == (status, code)
        assert got.headers.get(header[0].lower(), "") == header[1]
        assert not bucket.exists(prefix)
        used = connection.sock
        assert client.call("PutObject", b"abc", over=connection, Key=prefix).status == 200
        assert connection.sock is used
    assert statuses(proxy) == [(status, None), (200, 200)]
    assert proxy.log[0].body_bytes == 70_000


def test_respond_after_and_lose_response_come_when_the_server_has_done_it(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    client_of: Connect,
    bucket: Bucket,
    prefix: str,
) -> None:
    lose = Fault("PutObject", LoseResponse())
    proxy = s3_fault_proxy(server, "PutObject:524:when=after:nth=1", lose)
    client = client_of(proxy)
    assert client.call("PutObject", b"one", Key=prefix).status == 524
    assert bucket.get(prefix) == b"one"
    with pytest.raises(http.client.RemoteDisconnected):
        client.call("PutObject", b"two", Key=prefix)
    assert bucket.get(prefix) == b"two"
    assert statuses(proxy) == [(524, 200), (None, 200)]


def test_response_to_head_has_no_body(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, bucket: Bucket
) -> None:
    """Read as bytes: a client's library would forgive a body."""
    bucket.client.put_object(Bucket=bucket.name, Key="flapping", Body=b"abc")
    client = client_of(s3_fault_proxy(server, "HeadObject:404:first=2", "HeadObject:403:nth=3"))
    method, target = client.target("HeadObject", Key="flapping")
    host, port = client.address.split(":")
    starts = []
    with (
        socket.create_connection((host, int(port)), timeout=10) as sock,
        sock.makefile("rb") as lines,
    ):
        for _ in range(4):
            sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: {client.address}\r\n\r\n".encode())
            starts.append(lines.readline().split()[1])
            while lines.readline() != b"\r\n":
                pass
    assert starts == [b"404", b"404", b"403", b"200"]


def test_body_over_the_limit_is_refused_before_it_is_read(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    proxy = s3_fault_proxy(server, Fault("*", LimitBody(1000)))
    client = client_of(proxy)
    assert client.call("PutObject", bytes(1000), Key=prefix).status == 200
    got = client.call("PutObject", bytes(5_000_000), Key=prefix)
    assert (got.status, got.code, got.headers["connection"]) == (413, "EntityTooLarge", "close")
    assert [record.body_bytes for record in proxy.log] == [1000, 0]


def test_early_response_comes_while_the_client_still_sends(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect
) -> None:
    proxy = s3_fault_proxy(server, Fault("PutObject", Respond(503, when="early")))
    client = client_of(proxy)
    with closing(client.connect()) as connection:
        connection.putrequest(*client.target("PutObject", Key="k"))
        connection.putheader("Content-Length", "100000000")
        connection.endheaders()
        assert connection.getresponse().status == 503
    assert statuses(proxy) == [(503, None)]


@pytest.mark.parametrize("after", [0, 1000, 10**9])
def test_reset_request_never_arrives_whole(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    client_of: Connect,
    bucket: Bucket,
    prefix: str,
    after: int,
) -> None:
    proxy = s3_fault_proxy(server, Fault("PutObject", Reset(after)))
    with pytest.raises(ConnectionError) as caught:
        client_of(proxy).call("PutObject", bytes(50_000), Key=prefix)
    assert type(caught.value) in {ConnectionResetError, BrokenPipeError}
    proxy.stop()
    assert not bucket.exists(prefix)
    assert proxy.log[0].body_bytes == min(after, 49_999)


@pytest.mark.parametrize(("after", "come"), [(0, None), (1000, 1000), (10**9, 49_999)])
def test_reset_response_ends_where_it_should(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    client_of: Connect,
    prefix: str,
    after: int,
    come: int | None,
) -> None:
    proxy = s3_fault_proxy(server, Fault("GetObject", Reset(after, "response")))
    client = client_of(proxy)
    client.call("PutObject", bytes(50_000), Key=prefix)
    with closing(client.connect()) as connection:
        connection.request(*client.target("GetObject", Key=prefix))
        if come is None:
            with pytest.raises(ConnectionResetError):
                connection.getresponse()
        else:
            response = connection.getresponse()
            assert response.read(come) == bytes(come)
            with pytest.raises(ConnectionResetError):
                response.read(1)
    assert proxy.log[1].upstream_status == 200


@pytest.mark.parametrize("side", ["request", "response"])
def test_stall_holds_until_it_is_released(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    client_of: Connect,
    prefix: str,
    side: str,
) -> None:
    proxy = s3_fault_proxy(server, f"GetObject:stall:after=10:side={side}:first=2")
    client = client_of(proxy)
    client.call("PutObject", bytes(1000), Key=prefix)
    with closing(client.connect(0.3)) as connection, pytest.raises(TimeoutError):
        client.call("GetObject", over=connection, Key=prefix)
    with ThreadPoolExecutor(1) as pool:
        stalled = pool.submit(client.call, "GetObject", Key=prefix)
        proxy.wait_for("GetObject", 2)
        with pytest.raises(TimeoutError):
            stalled.result(0.2)
        proxy.release()
        assert stalled.result(10).body == bytes(1000)


def test_stalled_request_reaches_the_server_up_to_where_it_stalls(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    proxy = s3_fault_proxy(server, Fault("PutObject", Stall(40_000, seconds=0.3)))
    client = client_of(proxy)
    began = time.monotonic()
    assert client.call("PutObject", bytes(50_000), Key=prefix).status == 200
    assert 0.3 <= time.monotonic() - began < 5
    assert client.call("GetObject", Key=prefix).body == bytes(50_000)


def test_stop_ends_stalls(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect
) -> None:
    proxy = s3_fault_proxy(server, "*:stall")
    client = client_of(proxy)
    with ThreadPoolExecutor(1) as pool:
        stalled = pool.submit(client.call, "PutObject", b"abc", Key="never")
        proxy.wait_for("PutObject")
        proxy.stop()
        assert isinstance(stalled.exception(10), _BROKEN)
    assert statuses(proxy) == [(None, None)]


@pytest.mark.parametrize(
    ("operation", "side"), [("PutObject", "request"), ("GetObject", "response")]
)
def test_dripping_body_takes_its_time(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    client_of: Connect,
    prefix: str,
    operation: str,
    side: Any,
) -> None:
    proxy = s3_fault_proxy(server, Fault(operation, Drip(100_000, side)))
    client = client_of(proxy)
    seconds = {}
    for name, data in (("PutObject", bytes(40_000)), ("GetObject", b"")):
        began = time.monotonic()
        assert client.call(name, data, Key=prefix).status == 200
        seconds[name] = time.monotonic() - began
    assert seconds[operation] >= 0.4


def test_flipped_bit_is_one_bit_and_the_seed_decides_which(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    sent = bytes(300_000)
    found = []
    for seed in (1, 1, 2):
        client = client_of(s3_fault_proxy(server, Fault("PutObject", FlipBit(bit=7)), seed=seed))
        assert client.call("PutObject", sent, Key=prefix).status == 200
        got = client.call("GetObject", Key=prefix).body
        assert len(got) == len(sent)
        changed = [at for at, byte in enumerate(got) if byte]
        assert [got[at] for at in changed] == [128]
        found += changed
    assert found[0] == found[1] != found[2]


def test_wrong_etag_is_in_head_and_body(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    proxy = s3_fault_proxy(server, "PutObject:etag", "CompleteMultipartUpload:etag:etag=bad-1")
    client = client_of(proxy)
    put = client.call("PutObject", b"abc", Key=prefix).headers["etag"]
    assert re.fullmatch('"[0-9a-f]{32}"', put)
    true = client.call("HeadObject", Key=prefix).headers["etag"]
    assert true != put
    upload = client.create_upload(prefix)
    part = client.call("UploadPart", b"abc", Key=prefix, UploadId=upload, PartNumber=1)
    document = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{part.headers['etag']}</ETag></Part></CompleteMultipartUpload>"
    )
    got = client.call("CompleteMultipartUpload", document.encode(), Key=prefix, UploadId=upload)
    assert b"<ETag>&quot;bad-1&quot;</ETag>" in got.body
    assert client.call("GetObject", Key=prefix).body == b"abc"


def test_metadata_is_dropped_and_the_date_is_shifted(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    client_of: Connect,
    bucket: Bucket,
    prefix: str,
) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key=prefix, Body=b"abc", Metadata={"a": "b"})
    proxy = s3_fault_proxy(
        server, "HeadObject:drop-metadata:nth=1", "HeadObject:skew-date:seconds=7200"
    )
    client = client_of(proxy)
    dropped, shifted = (client.s3.head_object(Bucket=bucket.name, Key=prefix) for _ in range(2))
    assert (dropped["Metadata"], shifted["Metadata"]) == ({}, {"a": "b"})
    dates = [found["ResponseMetadata"]["HTTPHeaders"]["date"] for found in (dropped, shifted)]
    hours = [time.mktime(time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT")) for date in dates]
    assert 7200 <= hours[1] - hours[0] < 7210


def test_listed_parts_are_left_out_or_shortened(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    short = Fault("ListParts", ShortPart(2, by=4))
    proxy = s3_fault_proxy(server, "ListParts:missing-part:part=1:nth=1", short)
    client = client_of(proxy)
    where = {"Bucket": server.bucket, "Key": prefix, "UploadId": client.create_upload(prefix, 3)}
    listed = [
        [(part["PartNumber"], part["Size"]) for part in client.s3.list_parts(**where)["Parts"]]
        for _ in range(2)
    ]
    assert listed == [[(2, 9), (3, 9)], [(1, 9), (2, 5), (3, 9)]]


def test_listings_continue_with_the_same_token_for_ever(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    client = client_of(s3_fault_proxy(server, "*:repeat-token"))
    upload = client.create_upload(f"{prefix}/m", 2)
    for name in ("a", "b"):
        client.call("PutObject", b"x", Key=f"{prefix}/{name}")
    parts: dict[str, Any] = {"Key": f"{prefix}/m", "UploadId": upload}
    below = {"Prefix": f"{prefix}/"}
    kinds: list[tuple[str, dict[str, Any], dict[str, str]]] = [
        ("list_parts", parts, {"PartNumberMarker": "NextPartNumberMarker"}),
        ("list_objects_v2", below, {"ContinuationToken": "NextContinuationToken"}),
        ("list_objects", below, {"Marker": "NextMarker"}),
        (
            "list_multipart_uploads",
            below,
            {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"},
        ),
    ]
    for method, where, tokens in kinds:
        following: dict[str, Any] = {}
        seen = []
        for _ in range(3):
            page = getattr(client.s3, method)(Bucket=server.bucket, **where, **following)
            assert page["IsTruncated"]
            following = {name: page[element] for name, element in tokens.items()}
            seen.append(following)
        assert all(seen[0].values()), method
        assert seen[0] == seen[1] == seen[2]


def test_wrong_clock_is_refused(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    proxy = s3_fault_proxy(server, Fault("*", ClockSkew()), Fault("GetObject", ClockSkew(3600)))
    client = client_of(proxy)
    assert client.call("PutObject", b"abc", Key=prefix).status == 200
    far = client.call("GetObject", Key=prefix)
    assert (far.status, far.code) == (403, "RequestTimeTooSkewed")
    assert "date" in far.headers
    stamp = {"x-amz-date": "20200101T000000Z"}
    assert (
        client.call("PutObject", b"abc", headers=stamp, Key=prefix).code == "RequestTimeTooSkewed"
    )
    assert statuses(proxy) == [(200, 200), (403, None), (403, None)]


def test_credentials_expire_for_one_access_key(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    proxy = s3_fault_proxy(server, "*:expire:after=2")
    client = client_of(proxy)
    got = [client.call("PutObject", b"abc", Key=prefix) for _ in range(4)]
    assert [(response.status, response.code) for response in got] == [
        (200, ""),
        (200, ""),
        (400, "ExpiredToken"),
        (400, "ExpiredToken"),
    ]
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=another/20260101/r/s3/aws4_request"}
    with closing(client.connect()) as connection:
        for _ in range(3):
            connection.request("GET", f"/{server.bucket}/{prefix}", headers=signed)
            connection.getresponse().read()
    assert {record.upstream_status for record in proxy.log[-3:]} <= {400, 403}
    assert "another" not in repr(proxy.log)


@dataclass(frozen=True)
class _Renamed(Effect):
    def edit(self, head: Head, random_bits: int) -> None:
        head.set("Server", f"mine-{random_bits % 1}")


def test_custom_effect(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    proxy = s3_fault_proxy(server, Fault("*", _Renamed()))
    assert client_of(proxy).call("PutObject", b"a", Key=prefix).headers["server"] == "mine-0"
    assert proxy.log[0].fault == "*:_Renamed"


# ----------------------------------------------------------------------------------- selection


def ask_for(operation: str, key: str = "k", part: int | None = None, size: int = 10) -> Request:
    return Request(operation, key, part, None, size, {}, Head(b"", b""))


def hits(faults: list[str], requests: list[Request], seed: int = 0) -> list[str | None]:
    schedule = Schedule(seed)
    schedule.add(parse_fault(text) for text in faults)
    due = (schedule.fault_for(request) for request in requests)
    return [fault_text(found.fault).split(":")[1] if found else None for found in due]


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (["PutObject:500:nth=2"], "-5--"),
        (["PutObject:500:first=2"], "55--"),
        (["PutObject:500:every=2"], "-5-5"),
        (["PutObject:500:times=3"], "555-"),
        (["GetObject:500"], "----"),
        (["PutObject:500:key=a*"], "5-5-"),
        (["PutObject:500:key=a*:nth=2"], "--5-"),
        (["PutObject:500:nth=2:per=key"], "--55"),
        (["PutObject:limit:bytes=10"], "----"),
        (["*:limit:bytes=9:nth=1"], "l---"),
        (["PutObject:500:nth=1", "PutObject:400:first=2"], "54--"),
        (["*:drop-metadata"], "----"),
    ],
)
def test_fault_selects_its_requests(faults: list[str], expected: str) -> None:
    requests = [ask_for("PutObject", key) for key in ("a1", "b1", "a1", "b1")]
    assert "".join((hit or "-")[0] for hit in hits(faults, requests)) == expected


def test_part_is_selected_by_its_number() -> None:
    requests = [ask_for("UploadPart", "k", part) for part in (1, 2, 3)]
    assert hits(["UploadPart:500:part=2"], requests) == [None, "500", None]


def test_probability_depends_on_the_seed_and_not_on_the_order_of_arrival() -> None:
    requests = [ask_for("UploadPart", f"k{n % 20}", 1 + n // 20) for n in range(400)]
    faults = ["*:503:probability=0.2", "*:500:probability=0.2"]

    def outcome(order: list[Request], seed: int) -> dict[tuple[str, int | None], str | None]:
        found = hits(faults, order, seed)
        return {(r.key, r.part): hit for r, hit in zip(order, found, strict=True)}

    shuffled = requests[::-7] + [r for n, r in enumerate(requests[::-1]) if n % 7]
    assert outcome(requests, 1) == outcome(shuffled, 1) != outcome(requests, 2)
    counts = [list(outcome(requests, 1).values()).count(status) for status in ("503", "500")]
    assert 50 < counts[0] < 110
    assert 35 < counts[1] < 95
    again = hits(faults, [requests[0]] * 100, 1)
    assert 0 < sum(hit is not None for hit in again) < 100


# ---------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("UploadPart:503:first=2", Fault("UploadPart", Respond(503), first=2)),
        (
            "CompleteMultipartUpload:524:when=after:nth=1",
            Fault("CompleteMultipartUpload", Respond(524, when="after"), nth=1),
        ),
        ("PutObject:reset:after=1000", Fault("PutObject", Reset(1000))),
        ("*:flip:probability=0.01", Fault("*", FlipBit(), probability=0.01)),
        ("*:lose:key=a:b*:nth=4", Fault("*", LoseResponse(), key="a:b*", nth=4)),
        ("PutObject:etag:etag=00", Fault("PutObject", WrongETag("00"))),
        ("ListParts:short-part:part=2:by=3", Fault("ListParts", ShortPart(2, 3))),
        ("*:stall:side=response:seconds=1.5", Fault("*", Stall(side="response", seconds=1.5))),
        (
            "*:307:header.Location=http://a:1/b?c=d:every=2",
            Fault("*", Respond(307, headers={"Location": "http://a:1/b?c=d"}), every=2),
        ),
    ],
)
def test_text_of_a_fault_round_trips(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault
    assert fault_text(fault) == text


@pytest.mark.parametrize(
    ("text", "wrong", "allowed"),
    [
        ("UploadPart", "'UploadPart'", "OPERATION:EFFECT"),
        ("Upload:503", "operation=Upload", "UploadPart"),
        ("*:explode", "'explode'", "repeat-token"),
        ("*:503:after=1", "'after'", "when"),
        ("*:503:first=x", "first=x", "int"),
        ("*:503:first=0", "first=0", "1 and more"),
        ("*:503:first=1:nth=2", "nth, first, every", "one of them"),
        ("*:503:when=later", "when=later", "early, before, after"),
        ("*:flip:bit=8", "bit=8", "0 to 7"),
        ("*:flip:probability=2", "probability=2", "0 to 1"),
        ("*:limit", "limit", "bytes="),
        ("*:drip:side=response", "drip", "bytes_per_second="),
        ("PutObject:repeat-token", "operation=PutObject", "ListParts"),
        ("*:503:per=part", "per=part", "proxy, key"),
    ],
)
def test_wrong_text_says_what_is_allowed(text: str, wrong: str, allowed: str) -> None:
    with pytest.raises(ValueError, match="fault ") as caught:
        parse_fault(text)
    said = str(caught.value)
    assert text in said
    assert wrong in said
    assert allowed in said.replace(text, "")


# ------------------------------------------------------------------------- watching, ending


def test_hooks_see_a_request_when_it_arrives_and_when_it_is_finished(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    came: list[Record] = []
    done: list[Record] = []
    proxy = s3_fault_proxy(server, hook=came.append, on_request=done.append)
    client = client_of(proxy)
    upload = client.create_upload(prefix, 2)
    proxy.stop()
    assert [(r.sequence, r.operation, r.part, r.upload_id, r.status) for r in came] == [
        (1, "CreateMultipartUpload", None, None, None),
        (2, "UploadPart", 1, upload, None),
        (3, "UploadPart", 2, upload, None),
    ]
    assert done == proxy.log
    assert [record.body_bytes for record in done] == [0, 9, 9]
    assert proxy.part_bytes == {(prefix, 1): 9, (prefix, 2): 9}
    assert (proxy.count(), proxy.count("UploadPart"), proxy.count("GetObject")) == (3, 2, 0)
    with pytest.raises(TimeoutError, match="2 of 3 requests UploadPart"):
        proxy.wait_for("UploadPart", 3, timeout=0.01)


def test_error_in_a_hook_ends_the_proxy_and_is_raised(
    server: LocalS3Server, client_of: Connect
) -> None:
    def fail(_record: Record) -> None:
        raise ProcessLookupError("the hook's own")

    proxy = FaultProxy(server, hook=fail)
    proxy.start()
    with pytest.raises(_BROKEN):
        client_of(proxy).call("PutObject", b"abc", Key="k")
    with pytest.raises(ProcessLookupError, match="the hook's own"):
        proxy.stop()
    proxy.stop()


def test_faults_are_added_and_removed_while_the_proxy_runs(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    proxy = s3_fault_proxy(server)
    client = client_of(proxy)
    got = []
    for faults in ([], ["*:503"], []):
        proxy.clear()
        proxy.inject(*faults)
        got.append(client.call("PutObject", b"abc", Key=prefix).status)
    assert got == [200, 503, 200]
    with pytest.raises(ValueError, match="explode"):
        proxy.inject("*:explode")


def test_proxy_leaves_no_thread_and_no_socket(server: LocalS3Server, client_of: Connect) -> None:
    def sockets() -> int:
        links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        return sum(os.path.exists(link) and "socket" in os.readlink(link) for link in links)

    threads = threading.active_count()
    before = sockets()
    with FaultProxy(server) as proxy:
        client = client_of(proxy)
        with closing(client.connect()) as connection:
            client.call("GetObject", over=connection, Key="none")
            assert threading.active_count() == threads + 1
            proxy.stop()
    assert threading.active_count() == threads
    assert sockets() == before
    with pytest.raises(ConnectionRefusedError):
        client.call("GetObject", Key="none")


def test_taken_port_and_invalid_url_are_errors(server: LocalS3Server) -> None:
    with FaultProxy(server) as proxy:
        taken = FaultProxy(server, port=urlsplit(proxy.url).port or 0)
        with pytest.raises(OSError, match="in use"):
            taken.start()
        with pytest.raises(OSError, match="in use"), taken:
            pass
    with pytest.raises(ValueError, match="ftp://x"):
        FaultProxy("ftp://x")


# --------------------------------------------------------------------------------------- shell

_COMMAND = [sys.executable, "-m", "s3_uploader.testing.faults"]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_command_serves_until_it_is_signalled(
    server: LocalS3Server, session: Any, prefix: str, ending: signal.Signals
) -> None:
    # As a shell starts it in the background, where it ignores Ctrl-C.
    background = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    command = [*_COMMAND, "--upstream", server.http_url, "--fault", "PutObject:503:first=1"]
    command = [*background, *command]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        client = Client(server, process.stdout.readline().strip(), session)
        assert [client.call("PutObject", b"abc", Key=prefix).status for _ in range(2)] == [503, 200]
        client.s3.close()
        process.send_signal(ending)
        said = process.stderr.read().splitlines()
        assert process.wait(10) == 0
    assert said == [
        f"1 PutObject '{prefix}' part=- bytes=3 fault=PutObject:503:first=1 status=503 upstream=-",
        f"2 PutObject '{prefix}' part=- bytes=3 fault=- status=200 upstream=200",
    ]


def test_command_lists_the_effects_and_refuses_unknown_ones() -> None:
    listed = subprocess.run([*_COMMAND, "--list"], capture_output=True, text=True, check=True)
    names = [line.split(":")[0].split()[0] for line in listed.stdout.splitlines()]
    assert names == ["STATUS", *EFFECTS]
    command = [*_COMMAND, "--upstream", "http://x", "--fault", "*:explode"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "effect 'explode': allowed:" in refused.stderr
