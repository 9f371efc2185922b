"""What the tests share: a clean environment, one real server, and a client that is not ours."""

import getpass
import itertools
import os
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from lanes import LANES, RCLONE_LANES, Server, open_lane
from rclone_server import RcloneServer, rclone_server
from s3_uploader.store import ObjectStore
from s3_uploader.testing import FaultProxy, LocalS3Server

if TYPE_CHECKING:
    from presigned import Client, Connect

_WITH_BOTO = find_spec("aioboto3") is not None
_clients = import_module("bucket_client" if _WITH_BOTO else "plain_client")

# What is about the boto lane alone, or takes botocore for its witness or its client.
_OF_BOTO = ("boto_*", "proxy", "sigv4", "faults", "response_faults", "*stores")
collect_ignore_glob = [] if _WITH_BOTO else [f"*test_{name}.py" for name in _OF_BOTO]

settings.register_profile("suite", deadline=None, database=None, derandomize=True)
settings.load_profile("suite")

_numbers = itertools.count(1)
_WITHOUT_SERVERS = {"unit", "engine"}
_SERVERS = {"server", "rclone"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep servers out of `make test-unit`, and the boto lane out where aioboto3 is missing."""
    for item in items:
        called = getattr(item, "callspec", None)
        if not _WITH_BOTO and called and str(called.params.get("lane", "")).startswith("boto"):
            item.add_marker(pytest.mark.skip(reason="the boto lane: aioboto3 is not installed"))
        if isinstance(item, pytest.Function) and item.path.parent.name in _WITHOUT_SERVERS:
            asked = _SERVERS & set(item.fixturenames)
            if asked:
                raise pytest.UsageError(f"{item.nodeid} asks for {asked}: move it to tests/server")


def pytest_unconfigure() -> None:
    """Remove the folder of pytest's temporary directories, which it leaves empty."""
    with suppress(OSError, KeyError):
        os.rmdir(os.path.join(tempfile.gettempdir(), f"pytest-of-{getpass.getuser()}"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty home directory, and no variable that configures an upload."""
    for name in os.environ:
        if name.startswith(("RUNPOD_", "S3_UPLOADER_", "AWS_", "XDG_")):
            monkeypatch.delenv(name)
    # Without this, botocore asks the metadata service of a cloud machine.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with tempfile.TemporaryDirectory(prefix="s3-uploader-home-") as folder:
        monkeypatch.setenv("HOME", folder)
        yield Path(folder)


@pytest.fixture(scope="session")
def server() -> Iterator[LocalS3Server]:
    with LocalS3Server(tls=True) as running:
        yield running


@pytest.fixture
def configured(server: LocalS3Server, monkeypatch: pytest.MonkeyPatch) -> LocalS3Server:
    """The server as the default profile, by environment."""
    for name, value in server.environ().items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(scope="session", autouse=True)
def _models_read_once() -> Iterator[None]:
    """Let all sessions of botocore share a loader: half of opening the boto lane is its reading."""
    with pytest.MonkeyPatch.context() as patch:
        if _WITH_BOTO:
            loader = import_module("botocore.loaders").create_loader()
            patch.setattr("botocore.session.create_loader", lambda _path: loader)
        yield


_to_empty: list["Bucket"] = []


@pytest.fixture
def prefix() -> Iterator[str]:
    """A key prefix no other test uses."""
    number = next(_numbers)
    yield f"test-{number}"
    if number % 50 == 0:
        # What tests leave comes to gigabytes.
        for bucket in _to_empty:
            bucket.empty()


class Bucket:
    """The server's bucket, seen through a synchronous client: botocore's own, where it is."""

    def __init__(self, server: Server) -> None:
        self.name = server.bucket
        keys = (server.access_key, server.secret_key)
        self.client: Any = _clients.bucket_client(server.http_url, server.profile().region, *keys)

    def get(self, key: str) -> bytes:
        body = self.client.get_object(Bucket=self.name, Key=key)["Body"]
        with body:
            return bytes(body.read())

    def head(self, key: str) -> dict[str, Any]:
        return dict(self.client.head_object(Bucket=self.name, Key=key))

    def exists(self, key: str) -> bool:
        try:
            self.head(key)
        except _clients.ClientError:
            return False
        return True

    def tree(self, prefix: str) -> dict[str, bytes]:
        """Every object below `prefix`, by what follows it."""
        return {name: self.get(f"{prefix}/{name}") for name in self.etags(prefix)}

    def etags(self, prefix: str) -> dict[str, str]:
        """The ETag of every object below `prefix`, by what follows it."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=f"{prefix}/"
        )
        items = [item for page in pages for item in page.get("Contents", [])]
        return {item["Key"].removeprefix(f"{prefix}/"): item["ETag"].strip('"') for item in items}

    def empty(self) -> None:
        """Delete and create the bucket: SeaweedFS deletes one with all that is in it, at once."""
        self.client.delete_bucket(Bucket=self.name)
        # What the server still finishes of a broken-off request creates the bucket again.
        with suppress(_clients.ClientError):
            self.client.create_bucket(Bucket=self.name)
        self.open_uploads()

    def open_uploads(self, prefix: str = "") -> list[str]:
        listed = self.client.list_multipart_uploads(Bucket=self.name, Prefix=prefix)
        return [upload["Key"] for upload in listed.get("Uploads", [])]


@pytest.fixture(scope="session")
def bucket(server: LocalS3Server) -> Iterator[Bucket]:
    view = Bucket(server)
    # Its connection stays open: opened now, it is none that a test's own client has left.
    view.open_uploads()
    _to_empty.append(view)
    yield view
    _to_empty.remove(view)
    view.client.close()


@pytest.fixture(scope="session")
def rclone() -> Iterator[RcloneServer]:
    with rclone_server() as running:
        yield running


@pytest.fixture(scope="session")
def rclone_bucket(rclone: RcloneServer) -> Iterator[Bucket]:
    view = Bucket(rclone)
    yield view
    view.client.close()


@pytest.fixture(params=LANES)
def lane(request: pytest.FixtureRequest) -> str:
    """The name of each lane in turn, where a test does not choose."""
    return str(request.param)


@pytest.fixture
def lane_server(lane: str, request: pytest.FixtureRequest) -> Server:
    """The server of the lane, started when the first test asks for it."""
    running: Server = request.getfixturevalue("rclone" if lane in RCLONE_LANES else "server")
    return running


@pytest.fixture
async def store(lane: str, lane_server: Server) -> AsyncGenerator[ObjectStore]:
    """An open store of the lane."""
    async with open_lane(lane, lane_server) as opened:
        yield opened


@pytest.fixture(scope="session")
def boto() -> None:
    """For tests of what the boto lane does for another: skipped without aioboto3."""
    pytest.importorskip("aioboto3")


@pytest.fixture(scope="session")
def session() -> Any:
    return pytest.importorskip("botocore.session").get_session()


@pytest.fixture
def client_of(server: LocalS3Server, session: Any) -> Iterator["Connect"]:
    presigned = import_module("presigned")
    made: list[Client] = []

    def make(proxy: FaultProxy) -> "Client":
        made.append(presigned.Client(server, proxy.url, session))
        return made[-1]

    yield make
    for client in made:
        client.s3.close()
