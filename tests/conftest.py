"""What the tests share: a clean environment, one real server, and a client that is not ours."""

import getpass
import itertools
import os
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.handlers import add_expect_header
from hypothesis import settings

from lanes import LANES, RCLONE_LANES, Server, open_lane
from presigned import Client, Connect
from rclone_server import RcloneServer, rclone_server
from s3_uploader.store import ObjectStore
from s3_uploader.testing import FaultProxy, LocalS3Server

settings.register_profile("suite", deadline=None, database=None, derandomize=True)
settings.load_profile("suite")

_numbers = itertools.count(1)
_WITHOUT_SERVERS = {"unit", "engine"}
_SERVERS = {"server", "rclone"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep servers out of the rooms that `make test-unit` runs: they take seconds to start."""
    for item in items:
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
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, and no variable that configures an upload."""
    for name in os.environ:
        if name.startswith(("RUNPOD_", "S3_UPLOADER_", "AWS_", "XDG_")):
            monkeypatch.delenv(name)
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    # Without this, botocore asks the metadata service of a cloud machine.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return folder


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


@pytest.fixture
def prefix() -> str:
    """A key prefix no other test uses."""
    return f"test-{next(_numbers)}"


class Bucket:
    """The server's bucket, seen through botocore's own synchronous client."""

    def __init__(self, server: Server) -> None:
        self.name = server.bucket
        self.client: Any = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=server.http_url,
            region_name=server.profile().region,
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )
        # With an empty body it stalls the connection for 60 s.
        self.client.meta.events.unregister("before-call.s3", add_expect_header)

    def get(self, key: str) -> bytes:
        body = self.client.get_object(Bucket=self.name, Key=key)["Body"]
        with body:
            return bytes(body.read())

    def head(self, key: str) -> dict[str, Any]:
        return dict(self.client.head_object(Bucket=self.name, Key=key))

    def exists(self, key: str) -> bool:
        try:
            self.head(key)
        except ClientError:
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

    def open_uploads(self, prefix: str = "") -> list[str]:
        answer = self.client.list_multipart_uploads(Bucket=self.name, Prefix=prefix)
        return [upload["Key"] for upload in answer.get("Uploads", [])]


@pytest.fixture(scope="session")
def bucket(server: LocalS3Server) -> Iterator[Bucket]:
    view = Bucket(server)
    # Its connection stays open: opened now, it is none that a test's own client has left.
    view.open_uploads()
    yield view
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
def session() -> Any:
    return botocore.session.get_session()


@pytest.fixture
def client_of(server: LocalS3Server, session: Any) -> Iterator[Connect]:
    made = []

    def make(proxy: FaultProxy) -> Client:
        made.append(Client(server, proxy.url, session))
        return made[-1]

    yield make
    for client in made:
        client.s3.close()
