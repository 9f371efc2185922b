"""The import rule, and what the package exports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import s3_uploader
from s3_uploader import consumers, engine, messages, source, store, testing

_PACKAGE = Path(s3_uploader.__file__).parent

_ROOM_LEVEL = {
    "messages": 0,
    "errors": 0,
    "events": 0,
    "sizes": 0,
    "keys": 1,
    "plan": 1,
    "checksums": 1,
    "ini": 1,
    "profile": 1,
    "allowance": 2,
    "shortage": 1,
    "threads": 1,
    "to_thread": 1,
    "store.base": 1,
    "store.options": 1,
    "store.errors": 1,
    "store.document": 1,
    "store.response": 1,
    "store.results": 1,
    "store.pages": 1,
    "store.redirects": 1,
    "store.sigv4": 1,
    "config": 2,
    "source": 2,
    "store": 2,
    "engine": 3,
    "consumers": 3,
    "signals": 4,
    "session": 4,
    "uploader": 4,
    "api": 5,
    "testing": 5,
    "": 6,
}
"""Rooms in the order of the import rule: a module imports its own level and those below."""

_MODULES = sorted(
    ".".join(path.relative_to(_PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in _PACKAGE.rglob("*.py")
)


def _level(module: str) -> int:
    if module == "__init__":
        return _ROOM_LEVEL[""]
    while module not in _ROOM_LEVEL:
        assert "." in module, f"{module} belongs to no room: give it one in this test"
        module = module.rpartition(".")[0]
    return _ROOM_LEVEL[module]


def _tree(module: str) -> ast.Module:
    path = _PACKAGE.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def _imports(module: str) -> Iterator[str]:
    """Yield the modules a module imports, anywhere in it; strings given to import_module too."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            origin = node.module or ""
            inside = (f"{origin}.{alias.name}" for alias in node.names)
            yield origin
            yield from (name for name in inside if name.removeprefix("s3_uploader.") in _MODULES)


def test_every_module_is_looked_at() -> None:
    assert {"engine.transfer", "store.boto", "api", "__init__"} <= set(_MODULES)


@pytest.mark.parametrize("module", _MODULES)
def test_a_module_imports_only_from_its_own_room_and_those_before_it(module: str) -> None:
    inside = {name for name in _imports(module) if name.startswith("s3_uploader.")}
    later = {
        name
        for name in inside
        if _level(name.removeprefix("s3_uploader.")) > _level(module)
        # A room's own __init__ names what its earlier modules hold.
        and not module.startswith(name.removeprefix("s3_uploader."))
    }
    assert later == set()


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("aioboto3", ("store.boto", "testing")),
        ("botocore", ("store.boto", "testing")),
        ("aiobotocore", ("store.boto", "testing")),
        ("aiohttp", ("store.boto", "testing")),
        ("boto3", ("testing.demo",)),
        ("aiofiles", ("source",)),
        ("awscrt", ("source.crc",)),
        ("concurrent", ("threads", "engine.journal", "testing")),
        ("trustme", ("testing",)),
    ],
)
def test_foreign_libraries_stay_behind_their_seam(library: str, allowed: tuple[str, ...]) -> None:
    users = [
        module
        for module in _MODULES
        if any(name.split(".")[0] == library for name in _imports(module))
        and not module.startswith(allowed)
    ]
    assert users == []


@pytest.mark.parametrize(
    "package", [s3_uploader, consumers, engine, messages, source, store, testing]
)
def test_all_names_exactly_what_the_package_re_exports(package: object) -> None:
    name = getattr(package, "__name__", "")
    names = getattr(package, "__all__", [])
    tree = _tree(name.partition(".")[2] or "__init__")
    imported = [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("s3_uploader")
        for alias in node.names
    ]
    assert list(names) == sorted(names)
    assert sorted(names) == sorted(imported)
    assert all(hasattr(package, exported) for exported in names)
