"""The import rule as a program: the order of the rooms, who may use which library, and a checker.

A room is a pattern of module names below `s3_uploader`: `store.base` is that module alone,
`store.wire.*` the package and all below it. The longest pattern of `ORDER` that fits a module is
its room. A package that re-exports has its own place, after what it names.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from graphlib import CycleError, TopologicalSorter

PACKAGE = "s3_uploader"

ORDER = (
    "messages.*",
    "errors",
    "sizes",
    "version",
    "keys",
    "events",
    # What a process has and can run out of.
    "shortage",
    "threads",
    "to_thread",
    "allowance",
    "signals",
    # Pure values: what to send, where to, how.
    "providers.*",
    "plan",
    "checksums.*",
    "ini",
    "profile.*",
    "config",
    # What a store is; then what a local file is; then the ways to a store.
    "store.options",
    "store.body",
    "store.values",
    "store.base",
    "store.errors",
    "store",
    "source.*",
    "store.sigv4",
    "store.document",
    "store.response",
    "store.redirects",
    "store.pages",
    "store.results",
    "store.ranges",
    "store.proxy",
    "store.trust",
    "store.fallback",
    "store.wire.*",
    "store.boto.*",
    "store.open",
    # One upload, from what it needs to what is asked for.
    "engine.journal.*",
    "engine.pacing.*",
    "engine.delivery.*",
    "engine.call",
    "engine.upload",
    "engine.job",
    "engine.work.*",
    "engine.outcome.*",
    "engine.transfer.*",
    "engine.operations.*",
    "engine",
    "consumers.*",
    "session",
    "operation",
    "arguments",
    "uploader",
    "runner",
    "api",
    "",
    "testing.*",
    "testing.demo",
)
"""Every room; a module imports from its own and from those before it."""

_LEAVES = ("messages.*", "errors", "sizes", "events")
_VALUES = ("keys", "plan", "providers.*", "checksums.*", "profile.*", "config")
ONLY = {
    "consumers.*": (*_LEAVES, "providers.*", "consumers.*"),
    "testing.*": (*_LEAVES, *_VALUES, "store*", "source.*", "testing.*"),
}
"""Rooms beside the road, which the order alone would let import too much."""

_BOTO = ("store.boto.*",)
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "aioboto3": _BOTO,
    "aiobotocore": _BOTO,
    "aiohttp": _BOTO,
    "multidict": _BOTO,
    "yarl": _BOTO,
    "botocore": (*_BOTO, "testing.demo"),
    "boto3": ("testing.demo",),
    "aiofiles": ("source.ranges",),
    "aiohappyeyeballs": ("store.wire.dial",),
    "anyio": (
        "to_thread",
        "signals",
        "source.ranges",
        "store.*",
        "engine.pacing.limiter",
        "engine.delivery.*",
        "engine.job",
        "engine.work.*",
        "engine.outcome.*",
        "engine.transfer.*",
        "session",
        "runner",
        "testing.server",
    ),
    "awscrt": ("checksums.crc64nvme",),
    "httptools": ("store.wire.parser", "testing.faults.http"),
    "platformdirs": ("engine.journal.journal",),
    "pytest": ("testing.pytest_plugin",),
    "trustme": ("testing.server",),
    "uvloop": ("runner",),
    # Of the standard library: threads that outlive main, and the one database.
    "concurrent": ("threads", "engine.journal.journal", "testing.faults.proxy"),
    "sqlite3": ("engine.journal.*",),
}
"""The rooms that may import a library; one that is not named here may be imported nowhere."""

TYPES_ONLY: Mapping[str, tuple[str, ...]] = {"types_aiobotocore_s3": _BOTO}
"""Libraries that are there for type checkers alone."""

FILE_ACCESS = (
    "ini",
    "source.*",
    "engine.journal.opening",
    "engine.journal.lease",
    "testing.*",
    # Not files of anybody's: /dev/null and /proc.
    "allowance",
    "consumers.log",
    "store.wire.dial",
)
"""The rooms that may open a file; what is uploaded is opened by `source` alone."""

_OPENERS = {"open", "fdopen", "open_code", "open_file", "read_bytes", "read_text", "FileIO"}
_BY_NAME = {"import_module", "__import__"}


@dataclass(frozen=True, slots=True)
class Import:
    """A module that another one imports; `typing` where type checkers alone do."""

    name: str
    typing: bool = False


@cache
def parsed(source: str) -> ast.Module:
    """Parse a source text, once for all rules."""
    return ast.parse(source)


@cache
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Return all nodes of a tree, once for all rules."""
    return tuple(ast.walk(tree))


def complaints(module: str, source: str, modules: set[str]) -> list[str]:
    """Check one module's source text against every rule; `modules` are all of the package."""
    tree = parsed(source)
    found: list[str] = []
    for one in imports(tree, modules):
        name = one.name.partition(".")
        if name[0] == PACKAGE:
            found += _inside(module, name[2])
        else:
            found += _outside(module, name[0], one)
    if module:  # the package itself imports what it exports when it is first used
        found += [f"{module} imports {what}, which cannot be read" for what in _unreadable(tree)]
    if not fits(module, FILE_ACCESS):
        found += [f"{module} opens a file: {what}" for what in _file_access(tree)]
    return found


def circle(package: Mapping[str, str]) -> list[str]:
    """Return the modules of an import circle, types left out; empty if there is none."""
    graph = {
        module: {
            one.name.removeprefix(PACKAGE).lstrip(".")
            for one in imports(parsed(source), set(package))
            if one.name.split(".")[0] == PACKAGE and not one.typing
        }
        - {module}
        for module, source in package.items()
    }
    # The package's own names are imported when they are used.
    del graph[""]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def place(module: str) -> int:
    """Return a module's place in the order.

    Raises:
        LookupError: it belongs to no room yet.
    """
    rooms = [room for room in ORDER if fits(module, (room,))]
    if rooms:
        return ORDER.index(max(rooms, key=len))
    raise LookupError(f"{module} belongs to no room: give it its place in ORDER")


def fits(module: str, rooms: tuple[str, ...]) -> bool:
    """Whether a module is in one of the rooms; `x.*` holds x itself."""
    return any(fnmatchcase(module, room) or f"{module}.*" == room for room in rooms)


def imports(tree: ast.Module, modules: set[str]) -> Iterator[Import]:
    """Yield what a module imports, anywhere in it, and by name: `import_module("x")`."""
    for_types = {
        id(inner)
        for node in nodes(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in nodes(tree):
        typing = id(node) in for_types
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = (_origin(node, alias.name, modules) for alias in node.names)
            yield from (Import(name, typing) for name in names)
        elif isinstance(node, ast.Call):
            yield from (Import(name, typing) for name in _named(node) if name)


def _origin(node: ast.ImportFrom, name: str, modules: set[str]) -> str:
    """Return the module that a name comes from."""
    assert node.level == 0, "relative imports are not read"
    origin = node.module or ""
    inner = f"{origin}.{name}"
    return inner if inner.removeprefix(f"{PACKAGE}.") in modules else origin


def _named(call: ast.Call) -> Iterator[str]:
    """Yield the module that a call imports by its name; "" if that cannot be read."""
    parts = [call.func, *call.args]
    for importer, name in zip(parts, [*parts[1:], None], strict=True):
        if _last(importer) in _BY_NAME:
            yield _constant(name)


def _constant(name: ast.AST | None) -> str:
    """Return a constant, and `x.*` of f"x.{y}", whatever y is; "" for everything else."""
    if isinstance(name, ast.JoinedStr):
        head = _constant(name.values[0])
        return f"{head}*" if head.endswith(".") else ""
    return str(name.value) if isinstance(name, ast.Constant) else ""


def _unreadable(tree: ast.Module) -> Iterator[str]:
    """Yield imports whose module only a run would tell."""
    for node in nodes(tree):
        if isinstance(node, ast.Call) and "" in _named(node):
            yield ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            renamed = [alias for alias in node.names if alias.name in _BY_NAME and alias.asname]
            yield from (f"{alias.name} as {alias.asname}" for alias in renamed)


def _file_access(tree: ast.Module) -> Iterator[str]:
    for node in nodes(tree):
        if isinstance(node, ast.Call):
            called = [node.func, *node.args]
            if any(_last(one) in _OPENERS and not _is_ours(one) for one in called):
                yield ast.unparse(node)


def _is_ours(node: ast.AST) -> bool:
    """Return whether it is an `open` that opens no file: `source` does that for the rest."""
    return isinstance(node, ast.Attribute) and _last(node.value) in {"source", "Session"}


def _last(node: ast.AST | None) -> str:
    """Return the last name of `a.b.c`; "" for what is no name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _inside(module: str, imported: str) -> list[str]:
    found = []
    if place(imported) > place(module):
        found.append(f"{module} imports {imported or PACKAGE}, which comes later")
    for room, allowed in ONLY.items():
        if ORDER[place(module)] == room and not fits(imported, allowed):
            found.append(f"{module} imports {imported}, which is not of {', '.join(allowed)}")
    return found


def _outside(module: str, library: str, one: Import) -> list[str]:
    allowed = LIBRARIES.get(library, ())
    if one.typing:
        allowed = (*allowed, *TYPES_ONLY.get(library, ()))
    known = library in LIBRARIES or library not in sys.stdlib_module_names
    if not known or fits(module, allowed):
        return []
    return [f"{module} imports {one.name}, which only {', '.join(allowed) or 'nobody'} may"]
