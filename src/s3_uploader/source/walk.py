"""Walk a tree in batches: every entry comes out as a file, a problem or a skip."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from s3_uploader.errors import SourceError

BATCH = 256
"""Entries handed over at a time: one hop between threads for this many."""

_KINDS = {
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A regular file; `name` is its path below the root with '/', `size` is bytes at the walk."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry that should have been uploaded and cannot be."""

    name: str
    error: SourceError


@dataclass(frozen=True, slots=True)
class Skipped:
    """A link to a directory that contains it; what is in it is uploaded under its first path."""

    name: str
    error: SourceError


Entry = SourceFile | Problem | Skipped

_Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Directory:
    path: str
    prefix: str
    lineage: tuple[_Identity, ...]


def walk(root: str, batch: int = BATCH) -> Iterator[list[Entry]]:
    """Yield the entries below `root` in batches of at most `batch`.

    Hidden files are included; links to files and directories are followed, a link to a directory
    above itself is skipped. Blocks on the disk: run it in a thread. Memory is bounded by the depth
    of the tree and the directories waiting, not by the number of files.

    Raises:
        SourceError: `root` itself is missing, not a directory, or unreadable.
    """
    pending: list[Entry] = []
    for entry in _entries(root):
        pending.append(entry)
        if len(pending) >= batch:
            yield pending
            pending = []
    if pending:
        yield pending


def count_files(root: str) -> int:
    """Return how many files and problems `walk` would yield, 0 if `root` is unreadable."""
    try:
        return sum(not isinstance(entry, Skipped) for batch in walk(root) for entry in batch)
    except SourceError:
        return 0


def _entries(root: str) -> Iterator[Entry]:
    waiting = [_open_root(root)]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(directory.path) as listing:
                for item in listing:
                    found = _classify(item, directory)
                    if isinstance(found, _Directory):
                        waiting.append(found)
                    else:
                        yield found
        except OSError as error:
            yield Problem(directory.prefix.rstrip("/") or ".", _unreadable(directory.path, error))


def _open_root(root: str) -> _Directory:
    try:
        status = os.stat(root)
    except ValueError as error:
        raise SourceError("source.bad_path", path=repr(root)) from error
    except FileNotFoundError as error:
        raise SourceError("source.missing", path=root) from error
    except OSError as error:
        raise _unreadable(root, error) from error
    if not stat.S_ISDIR(status.st_mode):
        raise SourceError("source.not_directory", path=root)
    try:
        os.scandir(root).close()
    except OSError as error:
        raise _unreadable(root, error) from error
    return _Directory(root, "", ((status.st_dev, status.st_ino),))


def _classify(item: os.DirEntry[str], parent: _Directory) -> Entry | _Directory:
    name = parent.prefix + item.name
    try:
        status = item.stat()
    except FileNotFoundError:
        code = "source.broken_link" if item.is_symlink() else "source.vanished"
        return Problem(name, SourceError(code, path=item.path))
    except OSError as error:
        return Problem(name, _unreadable(item.path, error))
    if stat.S_ISREG(status.st_mode):
        return SourceFile(name, status.st_size)
    if not stat.S_ISDIR(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "special file")
        return Problem(name, SourceError("source.special", path=item.path, kind=kind))
    # DirEntry.stat() gives no inode for a directory on Windows; os.stat does everywhere.
    identity = (status.st_dev, status.st_ino)
    if identity in parent.lineage:
        return Skipped(name, SourceError("source.link_cycle", path=item.path))
    return _Directory(item.path, f"{name}/", (*parent.lineage, identity))


def _unreadable(path: str, error: OSError) -> SourceError:
    return SourceError("source.unreadable", path=path, reason=error.strerror or str(error))
