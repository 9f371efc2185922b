"""The order of the rooms, their libraries and their files; sizes; and what the package exports."""

import ast
from pathlib import Path

import pytest

import s3_uploader
from import_rules import LIBRARIES, ORDER, circle, complaints, fits, imports, nodes, parsed, place
from s3_uploader import consumers, engine, messages, source, store, testing

_PACKAGE = Path(s3_uploader.__file__).parent

_SOURCES = {
    ".".join(path.relative_to(_PACKAGE).with_suffix("").parts)
    .removesuffix("__init__")
    .rstrip("."): path.read_text(encoding="utf-8")
    for path in sorted(_PACKAGE.rglob("*.py"))
}
_MODULES = set(_SOURCES)


def test_every_module_is_looked_at() -> None:
    assert {"engine.transfer.file", "store.boto.client", "store", "api", ""} <= _MODULES


@pytest.mark.parametrize("module", sorted(_MODULES))
def test_a_module_keeps_to_its_place(module: str) -> None:
    """It imports from its room and earlier ones, and only libraries and files that are its own."""
    assert complaints(module, _SOURCES[module], _MODULES) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(_SOURCES) == []


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        # Once these passed: seven levels stood for the rooms, and strings were not read.
        ("session", "from s3_uploader.uploader import Uploader", "uploader, which comes later"),
        ("consumers.log", "from s3_uploader.engine import Call", "engine, which is not of"),
        ("config", "from s3_uploader.store import open", "store.open, which comes later"),
        ("source.walk", "import s3_uploader.store.boto.client", "client, which comes later"),
        ("signals", "from s3_uploader import uploader", "uploader, which comes later"),
        ("engine.call", 'import_module("aioboto3")', "aioboto3, which only store.boto.* may"),
        # Other ways to write the same.
        ("session", "from s3_uploader import Uploader", "s3_uploader, which comes later"),
        ("engine.call", 'importlib.import_module("aioboto3.x")', "aioboto3.x, which only"),
        ("engine.call", '__import__("aioboto3")', "aioboto3, which only"),
        ("engine.call", 'run_sync(import_module, "aioboto3")', "aioboto3, which only"),
        ("engine.call", "import_module(name)", "import_module(name), which cannot be read"),
        ("engine.call", "from importlib import import_module as f", "cannot be read"),
        ("engine.call", 'import_module(f"{name}.x")', "which cannot be read"),
        ("engine.call", 'import_module(f"aio{name}")', "which cannot be read"),
        ("engine.call", 'import_module(f"aioboto3.{name}")', "aioboto3.*, which only store.boto"),
        ("config", 'import_module(f"s3_uploader.engine.transfer.{name}")', "which comes later"),
        (
            "config",
            "def f():\n    from s3_uploader.api import upload_file",
            "api, which comes later",
        ),
        ("config", "if TYPE_CHECKING:\n    from s3_uploader import api", "api, which comes later"),
        # Libraries: known ones in a wrong room, new ones anywhere, stubs at run time.
        (
            "store.wire.lane",
            'import_module("awscrt.s3")',
            "awscrt.s3, which only checksums.crc64nvme",
        ),
        ("store.wire.lane", "import requests", "requests, which only nobody may"),
        ("store.boto.store", "import types_aiobotocore_s3", "s3, which only"),
        ("engine.journal.database", "import anyio", "anyio, which only"),
        ("uploader", "import sqlite3", "sqlite3, which only engine.journal.* may"),
        # Rooms beside the road.
        ("testing.memory", "from s3_uploader.engine.call import Call", "call, which is not of"),
        ("engine.call", "from s3_uploader.consumers import log", "consumers.log, which comes"),
        # What is sent is opened by `source` alone.
        ("engine.outcome.put", 'open("x", "rb")', "opens a file"),
        ("engine.outcome.put", "os.open(path, 0)", "opens a file"),
        ("engine.transfer.parts", "await aiofiles.open(path)", "opens a file"),
        ("engine.transfer.parts", "await run_sync(io.open, path)", "opens a file"),
        ("engine.call", "Path(name).read_bytes()", "opens a file"),
        ("uploader", "Path(name).open()", "opens a file"),
    ],
)
def test_a_wrong_line_is_complained_of(module: str, line: str, complaint: str) -> None:
    """Appended to the module as it is, so that nothing but the line is complained of."""
    [found] = complaints(module, f"{_SOURCES[module]}\n{line}\n", _MODULES)
    assert complaint in found


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("config", 'find_spec("aioboto3")'),
        ("engine.call", "await job.source.open()"),
        ("store.boto.store", "if TYPE_CHECKING:\n    import types_aiobotocore_s3"),
        ("engine.call", "import email.utils"),
        ("runner", 'import_module("uvloop")'),
        ("config", 'import_module(f"s3_uploader.messages.{name}")'),
    ],
)
def test_a_right_line_is_not(module: str, line: str) -> None:
    assert complaints(module, f"{_SOURCES[module]}\n{line}\n", _MODULES) == []


def test_a_circle_is_found() -> None:
    package = {"": "", "a": "import s3_uploader.b", "b": "def f(): from s3_uploader.a import g"}
    assert set(circle(package)) == {"a", "b"}


def test_a_module_without_a_room_is_asked_for_one() -> None:
    with pytest.raises(LookupError, match=r"engine\.utils belongs to no room"):
        place("engine.utils")


def test_no_permission_is_left_over() -> None:
    """A library that a room uses no more is taken off its list; a room to come may have one."""
    users = {
        (one.name.split(".")[0], module)
        for module, source in _SOURCES.items()
        for one in imports(parsed(source), _MODULES)
    }
    unused = [
        (library, room)
        for library, rooms in LIBRARIES.items()
        for room in rooms
        if any(fits(module, (room,)) for module in _MODULES)
        and not any(name == library and fits(module, (room,)) for name, module in users)
    ]
    assert unused == []
    assert len(set(ORDER)) == len(ORDER)


_MAX_FILE = 320
_MAX_FUNCTION = 45


def test_no_file_and_no_function_is_long() -> None:
    long = {module for module, text in _SOURCES.items() if len(text.splitlines()) > _MAX_FILE} | {
        f"{module}.{node.name}"
        for module, text in _SOURCES.items()
        for node in nodes(parsed(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= _MAX_FUNCTION
    }
    assert long == set()


@pytest.mark.parametrize(
    "package", [s3_uploader, consumers, engine, messages, source, store, testing]
)
def test_all_names_exactly_what_the_package_re_exports(package: object) -> None:
    name = getattr(package, "__name__", "")
    names = getattr(package, "__all__", [])
    tree = ast.parse(_SOURCES[name.partition(".")[2]])
    imported = [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("s3_uploader")
        for alias in node.names
    ]
    assert list(names) == sorted(names)
    assert sorted(names) == sorted(imported)
    assert all(hasattr(package, exported) for exported in names)
