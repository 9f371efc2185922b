"""Tests of other modules, at servers of every make: `globals().update(at_other_stores(module))`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import FunctionType, ModuleType
from typing import Any

import pytest

from conftest import Bucket
from lanes import SERVER_LANES, Server
from other_stores import MAKES, has_bucket

_BY_LANE = {f"{lane}-{make}": make for make in MAKES for lane in ("wire", "boto")}


@pytest.fixture(scope="module")
def other_store() -> Iterator[Callable[[str], Server]]:
    """Return the server of a make, started when it is first asked for, and again when it died."""
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def start(make: str) -> Server:
            if make not in running or not has_bucket(running[make]):
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
        name: without_servers(test)
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


def without_servers(test: Any, **replaced: Any) -> Any:
    """Return a copy of a test that does not say at which servers it runs.

    `replaced`: names of its module that mean something else in the copy.
    """
    known = test.__globals__ | replaced if replaced else test.__globals__
    copy: Any = FunctionType(test.__code__, known, test.__name__, test.__defaults__)
    copy.__dict__.update(test.__dict__)
    copy.__kwdefaults__ = test.__kwdefaults__
    copy.__annotations__ = test.__annotations__
    marks = getattr(test, "pytestmark", [])
    copy.pytestmark = [mark for mark in marks if not _names_servers(mark)]
    return copy


def _names_servers(mark: pytest.Mark) -> bool:
    return mark.name == "parametrize" and mark.args[0] == "lane" and mark.args[1] == SERVER_LANES
