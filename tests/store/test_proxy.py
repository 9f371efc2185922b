"""A proxy that fails is named, with its variable and without its password; not the endpoint."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from conftest import Bucket
from plain_server import plain_server
from s3_uploader import FileOutcome, Profile, StoreError, UploadConfig, Uploader
from s3_uploader.config import LaneChoice
from s3_uploader.store.boto.errors import translated
from s3_uploader.store.errors import Request
from s3_uploader.store.proxy import proxy_for
from s3_uploader.testing import LocalS3Server

pytestmark = pytest.mark.anyio

_CONFIG = UploadConfig(journal="off", max_attempts=2, backoff_base=0, outcome_timeout=0)
_PROFILE = Profile(
    name="p",
    endpoint_url="http://store.example",
    region="r",
    bucket="bucket",
    access_key="a",
    secret_key="s",
)

_REQUEST = Request("PutObject", "k", "bucket", "https://store.example")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of the loopback interface that refuses connections as long as the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@asynccontextmanager
async def _uploader(endpoint: str, lane: LaneChoice = "auto") -> AsyncIterator[Uploader]:
    profile = replace(_PROFILE, endpoint_url=endpoint)
    async with Uploader(profile, config=replace(_CONFIG, lane=lane)) as uploader:
        yield uploader


async def _upload(endpoint: str, folder: Path) -> FileOutcome:
    file = folder / "f"
    file.write_bytes(b"content")
    async with _uploader(endpoint) as uploader:
        outcome = await uploader.upload_file(file, "k")
    for said in (outcome.message("en"), outcome.message("zh"), repr(outcome)):
        assert "5ecret" not in said
        assert "user" not in said.replace("user name", "")
    return outcome


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("spelling", [str.lower, str.upper])
@pytest.mark.parametrize("prefix", ["http://", "", "//", "https://"])
async def test_proxy_that_refuses_connections_is_named(
    scheme: str,
    spelling: type[str],
    prefix: str,
    closed_port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variable = spelling(f"{scheme}_proxy")
    monkeypatch.setenv(variable, f"{prefix}user:5ecret@127.0.0.1:{closed_port}")
    outcome = await _upload(f"{scheme}://store.example", tmp_path)
    assert (outcome.status, outcome.error) == ("failed", "store.proxy_unreachable")
    for words in (f"127.0.0.1:{closed_port}", variable, "NO_PROXY", "Connection refused"):
        assert words in outcome.message()


async def test_proxy_whose_host_is_unknown_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not the endpoint's, which only the proxy looks up."""
    monkeypatch.setenv("HTTP_PROXY", "http://no-such-proxy.invalid:3128")
    outcome = await _upload("http://store.example", tmp_path)
    assert (outcome.status, outcome.error) == ("failed", "store.proxy_unreachable")
    assert "no-such-proxy.invalid" in outcome.message()


@pytest.mark.parametrize("port", [3128, 443])
async def test_untrusted_certificate_is_that_of_the_proxy_or_of_the_endpoint(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told apart by the address that aiohttp was shaking hands with."""
    monkeypatch.setenv("HTTPS_PROXY", "https://store.example:3128")
    peer = ConnectionKey("store.example", port, True, True, None, None, None)  # noqa: FBT003
    refused = ssl.SSLCertVerificationError("self-signed")
    with pytest.raises(StoreError) as caught, translated(_REQUEST):
        raise aiohttp.ClientConnectorCertificateError(peer, refused)
    error = caught.value
    assert error.code == ("store.proxy_unreachable" if port == 3128 else "store.tls")
    assert (error.fatal, error.retryable) == (True, False)


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_proxy_that_opens_no_tunnel_is_named(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plain_server(status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//user:5ecret@"))
        outcome = await _upload("https://store.example", tmp_path)
    assert proxy.requests[0] == "CONNECT store.example:443"
    # Asked again only where another response may come.
    assert len(proxy.requests) == (2 if status == 502 else 1)
    assert (outcome.status, outcome.error) == ("failed", "store.proxy_refused")
    for words in (proxy.url, "HTTPS_PROXY", str(status), "https://store.example"):
        assert words in outcome.message()


async def test_proxy_that_demands_a_password_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plain_server(407) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        outcome = await _upload("http://store.example", tmp_path)
    assert proxy.requests == ["PUT http://store.example/bucket/k"]
    assert (outcome.status, outcome.error) == ("failed", "store.proxy_refused")
    assert "407 Proxy Authentication Required" in outcome.message()


async def test_tunnel_without_tls_is_an_error_of_the_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plain_server() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        outcome = await _upload("https://store.example", tmp_path)
    assert (outcome.status, outcome.error) == ("failed", "store.no_tls")


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "SOCKS4", "ftp"])
@pytest.mark.parametrize("lane", ["auto", "boto"])
async def test_proxy_of_another_protocol_is_refused_at_once(
    lane: LaneChoice, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:5ecret@proxy.example:1080")
    (tmp_path / "f").touch()
    async with _uploader("https://store.example", lane) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert (outcome.status, outcome.error) == ("failed", "config.proxy_scheme")
    assert f"{scheme}://proxy.example:1080 (HTTPS_PROXY)" in outcome.message()
    assert "5ecret" not in outcome.message()


@pytest.mark.parametrize("url", ["http://[::1", "http://user:5ecret@host:port", "http://", "h:x"])
async def test_invalid_proxy_url_is_refused_at_once(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", url)
    outcome = await _upload("http://store.example", tmp_path)
    assert (outcome.status, outcome.error) == ("failed", "config.bad_proxy")
    assert "HTTP_PROXY" in outcome.message()


@pytest.mark.parametrize("excepted", ["127.0.0.1", "*", "example.com,127.0.0.1", "{authority}"])
async def test_excepted_host_is_reached_without_the_proxy(
    excepted: str,
    server: LocalS3Server,
    bucket: Bucket,
    prefix: str,
    closed_port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority = server.http_url.removeprefix("http://").rstrip("/")
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("NO_PROXY", excepted.format(authority=authority))
    (tmp_path / "f").write_bytes(b"content")
    profile = replace(server.profile(), endpoint_url=server.http_url)
    for lane in ("auto", "boto"):
        config = UploadConfig(journal="off", lane=lane)
        async with Uploader(profile, config=config) as uploader:
            outcome = await uploader.upload_file(tmp_path / "f", f"{prefix}/{lane}")
        assert outcome.status == "committed"
        assert bucket.get(f"{prefix}/{lane}") == b"content"


async def test_endpoint_of_an_aws_profile_is_reached_through_its_own_proxy(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint is known only once aioboto3 has read the profile; Amazon's has no proxy here."""
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(
        "[profile corporate]\naws_access_key_id = a\naws_secret_access_key = s\n"
        "region = r\nendpoint_url = http://store.example\n"
    )
    monkeypatch.setenv("RUNPOD_VOLUME_ID", "bucket")
    (tmp_path / "f").write_bytes(b"content")
    with plain_server() as seen:
        monkeypatch.setenv("HTTP_PROXY", seen.url)
        async with Uploader("corporate", config=_CONFIG) as uploader:
            outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.status == "committed"
    assert seen.requests == ["PUT http://store.example/bucket/k"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:5ecret@h:1", "http://h:1"),
        ("user:5ecret@h:1", "h:1"),
        ("http://user:5e/c@ret://@h", "http://h"),
        ("user:5ec://ret@h", "h"),
        ("http://h:1/", "http://h:1/"),
    ],
)
async def test_password_of_a_proxy_is_removed(
    url: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", url)
    proxy = proxy_for("http://store.example")
    assert proxy is not None
    assert (proxy.url, proxy.variable) == (shown, "HTTP_PROXY")


async def test_lower_case_variable_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://upper")
    monkeypatch.setenv("http_proxy", "http://lower")
    proxy = proxy_for("http://store.example")
    assert proxy is not None
    assert (proxy.url, proxy.variable) == ("http://lower", "http_proxy")
