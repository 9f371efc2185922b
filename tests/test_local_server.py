"""LocalS3Server: a real server for a block, and nothing of it afterwards."""

import http.client
import os
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from s3_uploader import Uploader, upload_file
from s3_uploader.errors import ServerError
from s3_uploader.testing import LocalS3Server
from trees import make_tree


def _left() -> set[str]:
    """What servers of this user leave: temporary directories, sockets, child processes."""
    tmp = Path("/tmp")  # noqa: S108  (where weed puts its sockets)
    found = {str(path) for path in tmp.glob("seaweedfs-*-grpc-*.sock")}
    found |= {str(path) for path in tmp.glob("s3-uploader-server-*")}
    return found | set(_children())


def _children() -> list[str]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.append(status.parent.name)
    return found


def _own(server: LocalS3Server, before: set[str]) -> set[str]:
    port = (urlsplit(server.http_url).port or 0) + 10_000
    now = _left()
    sockets = {name for name in now if f"-grpc-{port}." in name}
    return sockets | (set(_children()) - before)


def test_two_servers_run_at_once_and_leave_nothing(
    server: LocalS3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The suite's own server is the other one."""
    make_tree(tmp_path, {"f": 10})
    children = set(_children())
    with LocalS3Server(bucket="another") as second:
        assert second.http_url != server.http_url
        assert (second.endpoint_url, second.https_url) == (second.http_url, "")
        assert set(_children()) - children
        for running in (server, second):
            for name, value in running.environ().items():
                monkeypatch.setenv(name, value)
            assert upload_file(tmp_path / "f", "f", "two", verbose=False)
    assert _own(second, children) == set()
    with pytest.raises(OSError, match="refused"):
        http.client.HTTPConnection(second.http_url.removeprefix("http://"), timeout=5).connect()


@pytest.mark.anyio
async def test_it_is_an_async_context_manager_with_tls_and_a_profile(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 10})
    children = set(_children())
    async with LocalS3Server(tls=True) as server:
        bundle = Path(server.ca_bundle)
        assert server.endpoint_url.startswith("https://")
        ssl.create_default_context(cafile=server.ca_bundle)
        config = server.environ()
        assert config["S3_UPLOADER_CA_BUNDLE"] == server.ca_bundle
        profile = server.profile()
        assert server.secret_key not in repr(profile)
        settings = {"ca_bundle": server.ca_bundle}
        async with Uploader(replace(profile, settings=settings)) as uploader:
            assert (await uploader.upload_file(tmp_path / "f")).ok
    assert _own(server, children) == set()
    assert not bundle.parent.exists()


def test_it_is_gone_after_an_error_too() -> None:
    children = set(_children())
    server = LocalS3Server()
    with pytest.raises(ZeroDivisionError), server:
        raise ZeroDivisionError
    assert _own(server, children) == set()
    server.stop()


def test_a_missing_binary_names_the_extra(tmp_path: Path) -> None:
    """In a Python whose scripts and PATH hold no weed."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    code = (
        "import sysconfig; sysconfig.get_path = lambda name: sys.argv[1]\n"
        "from s3_uploader.errors import ServerError\n"
        "from s3_uploader.testing import LocalS3Server\n"
        "try:\n    LocalS3Server().start()\n"
        "except ServerError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + code, str(scripts)],
        env={"PATH": str(scripts)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert "pip install 's3-uploader[server]'" in done.stdout


def test_the_error_is_one_of_ours() -> None:
    assert "s3-uploader[server]" in str(ServerError("server.no_trustme"))
