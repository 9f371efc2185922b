"""LocalS3Server: a real server for a block, and nothing of it afterwards."""

import http.client
import os
import re
import select
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from s3_uploader import Uploader, upload_file
from s3_uploader.errors import ServerError
from s3_uploader.testing import LocalS3Server
from s3_uploader.testing.process import ServerProcess
from trees import make_tree

_TMP = Path("/tmp")  # noqa: S108  (where weed puts its sockets)


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
    """Return what is there of a server: sockets, and child processes that were not there before."""
    port = (urlsplit(server.http_url).port or 0) + 10_000
    sockets = {str(path) for path in _TMP.glob(f"seaweedfs-*-grpc-{port}.sock")}
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
async def test_server_is_an_async_context_manager_with_tls_and_a_profile(tmp_path: Path) -> None:
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


def test_server_ends_after_an_error_too() -> None:
    children = set(_children())
    server = LocalS3Server()
    with pytest.raises(ZeroDivisionError), server:
        raise ZeroDivisionError
    assert _own(server, children) == set()
    server.stop()


def test_missing_binary_names_the_extra(tmp_path: Path) -> None:
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
        env={"PATH": str(scripts), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert "pip install 's3up[server]'" in done.stdout


def test_server_error_has_a_message() -> None:
    assert "s3up[server]" in str(ServerError("server.no_trustme"))


_PARENT = """\
import sys, threading
from s3_uploader.testing import LocalS3Server

server = LocalS3Server()
starter = threading.Thread(target=server.start)
starter.start()
starter.join()
print(server.http_url, flush=True)
sys.stdin.read()
"""


def _sockets_of(data: Path) -> list[Path]:
    """Return the sockets of the weed whose data is there."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = file.read_text()
            if f"-dir={data}" in line:
                ports = [int(port) + 10_000 for port in re.findall(r"-\w+\.port=(\d+)", line)]
                return [found for port in ports for found in _TMP.glob(f"*-grpc-{port}.sock")]
    raise AssertionError("no weed is running")


def _accepts(netloc: str) -> bool:
    with closing(http.client.HTTPConnection(netloc, timeout=10)) as connection:
        try:
            connection.connect()
        except ConnectionRefusedError:
            return False
        except ConnectionResetError:
            # The listener is closed at this very moment: the next attempt is refused.
            return True
    return True


def test_server_ends_with_a_killed_parent_but_not_with_its_starting_thread() -> None:
    with ExitStack() as stack:
        # Not tmp_path: the path of a socket must be short.
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        parent = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", _PARENT],
                env={**os.environ, "TMPDIR": folder},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        assert parent.stdout is not None
        address = urlsplit(parent.stdout.readline().strip())
        (data,) = Path(folder).iterdir()
        sockets = _sockets_of(data)
        assert len(sockets) == 4
        connection = http.client.HTTPConnection(address.netloc, timeout=10)
        stack.callback(connection.close)
        connection.request("GET", "/test-volume")
        connection.getresponse().read()
        parent.kill()
        with suppress(ConnectionResetError):
            assert connection.sock.recv(1) == b"", "open for 10 s"
        # The system closes what the dead process had open one by one: the listener a moment later.
        # Then its data and sockets are removed.
        deadline = time.monotonic() + 10
        while _accepts(address.netloc) or data.exists() or any(map(Path.exists, sockets)):
            assert time.monotonic() < deadline, "still there"


def test_process_that_ends_early_is_an_error_with_its_last_output() -> None:
    """At once, not after the time it is given to start."""
    children = set(_children())
    script = "for line in 1 2 3 4 5 6; do echo out $line; done; echo last words >&2; exit 3"
    with (
        pytest.raises(ServerError) as caught,
        ServerProcess(["/bin/sh", "-c", script]) as process,
    ):
        process.wait_until(lambda: False)
    assert str(caught.value).endswith("start: out 3 | out 4 | out 5 | out 6 | last words")
    with (
        pytest.raises(ServerError, match="not found"),
        ServerProcess(["/nowhere/server"]) as process,
    ):
        process.wait_until(lambda: False)
    assert set(_children()) == children


@pytest.mark.parametrize("grace", [0, 0.1])
def test_process_that_ignores_sigterm_is_killed_with_its_children(grace: float) -> None:
    script = "trap '' TERM; sleep 1000 & echo $!; while :; do wait; done"
    with ServerProcess(["/bin/sh", "-c", script], grace=grace) as process:
        process.wait_until(lambda: process.output.endswith("\n"))
        grandchild = int(process.output)
        watched = os.pidfd_open(grandchild)
    try:
        assert select.select([watched], [], [], 10)[0], "alive after 10 s"
    finally:
        os.close(watched)
    process.__exit__(None, None, None)


def test_process_may_end_itself_at_sigterm(tmp_path: Path) -> None:
    script = "trap 'echo bye >farewell; exit' TERM; echo up; while :; do sleep 0.01; done"
    with ServerProcess(["/bin/sh", "-c", script], folder=tmp_path) as process:
        process.wait_until(lambda: process.output == "up\n")
    assert (tmp_path / "farewell").read_text() == "bye\n"
