"""Redirects: followed with a new signature where S3 means them, refused to other hosts."""

import asyncio

import pytest

from s3_uploader import StoreError
from s3_uploader.store import BytesBody, ObjectStore, PutOptions
from s3_uploader.store.errors import Request
from s3_uploader.store.redirects import Target, follow
from scripted_server import (
    Handler,
    ReceivedRequest,
    ScriptedServer,
    open_lane_to,
    response,
    scripted_server,
)

pytestmark = pytest.mark.anyio

_STATUSES = {301: "301 Moved", 302: "302 Found", 307: "307 Temporary", 308: "308 Permanent"}


def _request(bucket: str = "bucket", *, trusted: bool = False) -> Request:
    return Request("PutObject", "k", bucket, "https://s3.example.com", trusted=trusted)


def _follow(endpoint: str, location: str, *, trusted: bool = False) -> Target:
    at = Target(endpoint, "/bucket")
    return follow(_request(trusted=trusted), at, "/k", location, status=307)


@pytest.mark.parametrize(
    ("endpoint", "location", "target"),
    [
        (
            "https://s3.example.com",
            "https://eu.s3.example.com/bucket/k",
            "https://eu.s3.example.com",
        ),
        (
            "https://s3.example.com",
            "https://s3-eu.example.com/bucket/k",
            "https://s3-eu.example.com",
        ),
        ("https://s3.example.com", "https://S3.example.com:8443/bucket/k?x=1", None),
        ("http://10.0.0.1:9000", "http://10.0.0.1:9001/bucket/k", "http://10.0.0.1:9001"),
        ("http://10.0.0.1:9000", "//10.0.0.1:9001/bucket/k", "http://10.0.0.1:9001"),
        ("https://s3.example.co.uk", "https://eu.example.co.uk/bucket/k", None),
        (
            "https://s3.amazonaws.com",
            "https://bucket.s3.eu-west-1.amazonaws.com/k",
            "https://bucket.s3.eu-west-1.amazonaws.com",
        ),
        ("https://s3.eu-1.amazonaws.com", "https://s3.us-1.amazonaws.com/bucket/k", None),
    ],
)
def test_redirect_to_a_host_of_the_same_provider_is_followed(
    endpoint: str, location: str, target: str | None
) -> None:
    found = _follow(endpoint, location)
    assert found.base_path == ("" if "//bucket." in location else "/bucket")
    if target is not None:
        assert found.endpoint == target


@pytest.mark.parametrize(
    ("endpoint", "location", "code"),
    [
        ("https://s3.example.com", "https://evil.com/bucket/k", "store.redirected"),
        ("https://s3.example.com", "https://s3.example.com.evil.com/bucket/k", "store.redirected"),
        ("https://s3.example.com", "https://evilexample.com/bucket/k", "store.redirected"),
        ("https://example.co.uk", "https://evil.co.uk/bucket/k", "store.redirected"),
        ("https://example.com", "https://evil.com/bucket/k", "store.redirected"),
        ("https://s3.example.com", "http://s3.example.com/bucket/k", "store.redirected_to_http"),
        ("https://10.0.0.1", "https://10.0.0.2/bucket/k", "store.redirected"),
        ("https://10.0.0.1", "https://evil.10.0.0.1/bucket/k", "store.redirected"),
        ("https://localhost", "https://evil.localhost/bucket/k", "store.redirected"),
        ("https://s3.example.com", "https://u:p@s3.example.com/bucket/k", "store.redirected"),
        ("https://s3.example.com", "https://s3.example.com/bucket/other", "store.redirected"),
        ("https://s3.example.com", "https://s3.example.com/other/k", "store.redirected"),
        ("https://s3.example.com", "https://other.s3.example.com/k", "store.redirected"),
        ("https://s3.amazonaws.com", "https://evil.s3.amazonaws.com/k", "store.redirected"),
        ("https://s3.example.com", "ftp://s3.example.com/bucket/k", "store.redirected"),
        ("https://s3.example.com", "https://[::1/bucket/k", "store.redirected"),
        ("https://s3.example.com", "https://s3.example.com:99999/bucket/k", "store.redirected"),
        ("https://s3.example.com", "", "store.redirected"),
        ("http://s3.example.com", "https://s3.example.com/bucket/k", "store.moved"),
    ],
)
def test_redirect_to_any_other_host_is_refused_and_named(
    endpoint: str, location: str, code: str
) -> None:
    with pytest.raises(StoreError) as caught:
        _follow(endpoint, location)
    error = caught.value
    assert (error.code, error.fatal, error.retryable) == (code, True, False)
    assert "u:p" not in f"{error} {error.params}"
    if "evil" in location:
        assert "evil" in str(error)


def test_http_to_https_names_the_endpoint_to_set() -> None:
    with pytest.raises(StoreError) as caught:
        _follow("http://s3.example.com", "https://s3.example.com/bucket/k")
    assert "endpoint_url to https://s3.example.com/" in str(caught.value)


def test_one_redirect_after_successes_stops_nothing_else() -> None:
    with pytest.raises(StoreError) as caught:
        _follow("https://s3.example.com", "https://evil.com/bucket/k", trusted=True)
    assert not caught.value.fatal


# ------------------------------------------------------------------------------ with connections


def _redirecting(status: int, to: ScriptedServer, host: str = "127.0.0.1") -> Handler:
    async def handle(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        location = f"http://{host}:{to.port}{request.target}"
        writer.write(response(status=_STATUSES[status], etag="", Location=location))

    return handle


async def _accept(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    writer.write(response())


async def _put(store: ObjectStore) -> str:
    receipt = await store.put_object("a b", BytesBody(b"x"), PutOptions("a/b"))
    return receipt.etag


@pytest.mark.parametrize("status", list(_STATUSES))
@pytest.mark.parametrize("lane", ["wire", "boto"])
async def test_nothing_goes_to_another_host(status: int, lane: str) -> None:
    """Neither the body, nor the token, nor a signature; and the response there is no success."""
    async with (
        scripted_server(_accept) as other,
        scripted_server(_redirecting(status, other, "localhost")) as server,
        open_lane_to(server, lane) as store,
    ):
        with pytest.raises(StoreError) as caught:
            await _put(store)
    assert other.requests == []
    assert len(server.requests) == 1
    assert f"http://localhost:{other.port}" in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize("status", list(_STATUSES))
async def test_redirect_to_the_same_host_is_followed_with_a_new_signature(status: int) -> None:
    async with (
        scripted_server(_accept) as other,
        scripted_server(_redirecting(status, other)) as server,
        open_lane_to(server, "wire") as store,
    ):
        assert await _put(store) == "00"
        assert await _put(store) == "00"
    assert len(server.requests) == 1
    first, second = other.requests
    assert first.body == second.body == b"x"
    assert first.target == server.requests[0].target
    assert first.headers["host"] == f"127.0.0.1:{other.port}"
    assert first.headers["authorization"] != server.requests[0].headers["authorization"]


@pytest.mark.usefixtures("boto")
async def test_boto_lane_names_the_endpoint_to_set() -> None:
    async with (
        scripted_server(_accept) as other,
        scripted_server(_redirecting(307, other)) as server,
        open_lane_to(server, "boto") as store,
    ):
        with pytest.raises(StoreError) as caught:
            await _put(store)
    assert other.requests == []
    assert f"endpoint_url to http://127.0.0.1:{other.port}/" in str(caught.value)


async def test_redirect_loop_ends() -> None:
    async with scripted_server(_accept) as first:
        seen: list[int] = []

        async def back(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
            seen.append(1)
            location = f"http://127.0.0.1:{server.port}{request.target}"
            writer.write(response(status="307 Temporary", etag="", Location=location))

        async with scripted_server(back) as server, open_lane_to(server, "wire") as store:
            with pytest.raises(StoreError) as caught:
                await _put(store)
    assert caught.value.code == "store.bad_response"
    assert 0 < len(seen) < 10
    assert first.requests == []
