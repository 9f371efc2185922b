"""S3 servers of many makes, for `make test-stores`: how each starts, and how it differs from S3.

What is not installed is skipped by name: `make test-stores` installs all but Ceph, whose packages
come with the system (Debian: radosgw, ceph-mon, ceph-osd, ceph-mgr).
"""

import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from conftest import Bucket
from lanes import SERVER_LANES, Server
from rclone_server import RcloneServer, rclone_server
from s3_uploader.testing import LocalS3Server
from s3_uploader.testing.process import ServerProcess

HOME = Path(sys.prefix) / "stores"
"""Where `make test-stores` installs them, apart from what the tests themselves need."""

_HOST = "127.0.0.1"
_BUCKET = "test-volume"


@dataclass(frozen=True)
class Make:
    """A make of S3 server.

    Attributes:
        start: starts one for a block.
        differs: what it does that S3 does not, and the tests that fail of it, and must: how their
            names begin, without "test_".
        lists_uploads: it has ListMultipartUploads. Where it has not, nobody can see which uploads
            are open: the tests that look for one fail, and those that look for none see none.
    """

    start: Callable[[], AbstractContextManager[Server]]
    differs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lists_uploads: bool = True

    def difference(self, test: str) -> str:
        """Return why a test must fail, "" if it must not."""
        name = test.removeprefix("test_")
        return next(
            (
                how
                for how, tests in self.differs.items()
                if any(name.startswith(begins) for begins in tests)
            ),
            "",
        )


@contextmanager
def _serve(
    program: Path,
    *options: str,
    environ: Mapping[str, str] | None = None,
    keys: tuple[str, str] = ("user_test", "rps_test"),
) -> Iterator[Server]:
    """Start a server; in options and variables "{port}", "{other}", "{folder}" are its own."""
    if not program.exists():
        pytest.skip(f"{program.name} is not installed: make test-stores")
    with tempfile.TemporaryDirectory(prefix="s3-uploader-store-") as folder:
        port, other = _free_ports()
        own = {"port": port, "other": other, "folder": folder}
        filled = [option.format(**own) for option in options]
        variables = {"HOME": folder, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
        variables |= {name: value.format(**own) for name, value in (environ or {}).items()}
        command = [str(program), *filled]
        with ServerProcess(command, folder=folder, environ=variables, grace=0) as process:
            server = RcloneServer(f"http://{_HOST}:{port}", _BUCKET, *keys)
            process.wait_until(lambda: _has_bucket(server))
            yield server


def _free_ports() -> tuple[int, int]:
    with socket.create_server((_HOST, 0)) as one, socket.create_server((_HOST, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _has_bucket(server: Server) -> bool:
    """Return whether the server answers and has the bucket, made now if need be."""
    client: Any = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=server.http_url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    try:
        if server.bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=server.bucket)
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True


def _python(name: str) -> Path:
    return HOME / "python/bin" / name


def _moto() -> AbstractContextManager[Server]:
    return _serve(_python("moto_server"), "-H", _HOST, "-p", "{port}")


def _localbucket() -> AbstractContextManager[Server]:
    return _serve(_python("localbucket"), "--port", "{port}", "{folder}/data")


def _ministack() -> AbstractContextManager[Server]:
    environ = {"GATEWAY_PORT": "{port}", "MINISTACK_HOST": _HOST}
    return _serve(_python("ministack"), environ=environ)


def _s3rver() -> AbstractContextManager[Server]:
    options = ("-a", _HOST, "-p", "{port}", "-d", "{folder}", "--no-vhost-buckets")
    return _serve(HOME / "node_modules/.bin/s3rver", *options, keys=("S3RVER", "S3RVER"))


def _ceph() -> AbstractContextManager[Server]:
    missing = [name for name in _CEPH if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: the system's packages radosgw and ceph-*")
    script = str(Path(__file__).parent / "stores/ceph.sh")
    return _serve(Path("/bin/sh"), script, "{folder}", "{port}", "{other}")


_CEPH = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin")

_TAKES_ANY_KEYS = ("wrong_credentials_are_fatal",)
_TAKES_ANY_DIGEST = ("a_wrong_md5_is_refused",)

MAKES: dict[str, Make] = {
    "seaweedfs": Make(LocalS3Server),
    "rclone": Make(rclone_server),
    "moto": Make(_moto),
    "ministack": Make(_ministack),
    "localbucket": Make(_localbucket, lists_uploads=False),
    "s3rver": Make(_s3rver, lists_uploads=False),
    "ceph": Make(_ceph),
}


# ------------------------------------------------------------- fixtures, and the tests to run


_BY_LANE = {f"{lane}-{make}": make for make in MAKES for lane in ("wire", "boto")}


@pytest.fixture(scope="module")
def other_store() -> Iterator[Callable[[str], Server]]:
    """Return the server of a make, started when it is first asked for, and again when it died."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(make: str) -> Server:
            if make not in running or not _has_bucket(running[make]):
                running[make] = stack.enter_context(MAKES[make].start())
            return running[make]

        yield start


@pytest.fixture(params=MAKES)
def make(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=_BY_LANE)
def lane(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(
    make: str, other_store: Callable[[str], Server], request: pytest.FixtureRequest
) -> Server:
    _expect_differences(request, make)
    return other_store(make)


@pytest.fixture
def lane_server(
    lane: str, other_store: Callable[[str], Server], request: pytest.FixtureRequest
) -> Server:
    _expect_differences(request, _BY_LANE[lane])
    return other_store(_BY_LANE[lane])


class _Unlisted(Bucket):
    """The bucket of a server that does not say which uploads are open."""

    def open_uploads(self, prefix: str = "") -> list[str]:
        del prefix
        return []


@pytest.fixture
def bucket(make: str, server: Server) -> Iterator[Bucket]:
    view = (Bucket if MAKES[make].lists_uploads else _Unlisted)(server)
    yield view
    view.client.close()


def _expect_differences(request: pytest.FixtureRequest, make: str) -> None:
    """Say why a test must fail at this make, where it differs from S3."""
    how = MAKES[make].difference(request.node.name)
    if how:
        request.applymarker(pytest.mark.xfail(reason=f"{make}: {how}", strict=True))


def at_other_stores(module: ModuleType, *names: str) -> dict[str, Any]:
    """Return what runs tests of a module at every make: for the globals of another module.

    These are the tests, all or those named, with the module's own fixtures, and fixtures in the
    place of those that give them their servers.
    """
    tests = {
        name: _without_servers(test)
        for name, test in vars(module).items()
        if name.startswith("test_") and (not names or name in names)
    }
    missing = set(names) - set(tests)
    assert not missing, f"{module.__name__} has no {missing}"
    fixtures = {
        name: value for name, value in vars(module).items() if isinstance(value, type(server))
    }
    servers = (other_store, make, lane, server, lane_server, bucket)
    return tests | fixtures | {fixture.__name__: fixture for fixture in servers}


def _without_servers(test: Any) -> Any:
    """Return a copy of a test that does not say at which servers it runs."""
    copy: Any = FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__)
    copy.__dict__.update(test.__dict__)
    copy.__kwdefaults__ = test.__kwdefaults__
    copy.__annotations__ = test.__annotations__
    marks = getattr(test, "pytestmark", [])
    copy.pytestmark = [mark for mark in marks if not _names_servers(mark)]
    return copy


def _names_servers(mark: pytest.Mark) -> bool:
    return mark.name == "parametrize" and mark.args[0] == "lane" and mark.args[1] == SERVER_LANES
