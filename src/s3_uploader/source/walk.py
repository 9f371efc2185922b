"""Walk a tree in batches: every entry comes out as a file, a problem or a skip."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from s3_uploader.config import Symlinks
from s3_uploader.errors import ResourceError, SourceError
from s3_uploader.shortage import patiently
from s3_uploader.source.fingerprint import kind_of
from s3_uploader.source.within import Within

BATCH = 256
"""Entries handed over at a time: one hop between threads for this many."""


Via = Literal["", "inside", "outside"]
"""Whether a file was reached through a symbolic link, and where it then really is."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A regular file.

    Attributes:
        name: its path below the root with '/'.
        size: bytes at the walk.
        via: "" without a link; "inside" or "outside" the root for a file behind one.
        within: the file without any link, to be checked when it is opened; None where every link
            is followed.
    """

    name: str
    size: int
    via: Via = ""
    within: Within | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry that should have been uploaded and cannot be."""

    name: str
    error: SourceError | ResourceError


@dataclass(frozen=True, slots=True)
class Skipped:
    """A link to a directory that contains it, or one that `symlinks` leaves out.

    What is in the directory is uploaded under its first path.
    """

    name: str
    error: SourceError


Entry = SourceFile | Problem | Skipped

_Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Tree:
    """The directory that is walked, and which of its links are followed."""

    real: str
    symlinks: Symlinks

    def has(self, real: str) -> bool:
        """Return whether a real path is the tree's or lies below it."""
        return real == self.real or real.startswith(os.path.join(self.real, ""))

    def within(self, real: str) -> Within:
        """Return what to check when a file is opened."""
        return Within(self.real, real.removeprefix(os.path.join(self.real, "")))


@dataclass(frozen=True, slots=True)
class _Directory:
    path: str
    prefix: str
    lineage: tuple[_Identity, ...]
    real: str
    via: Via = ""

    def real_of(self, item: os.DirEntry[str]) -> str:
        """Return the real path of an entry that is no link."""
        return os.path.join(self.real, item.name)


def walk(root: str, batch: int = BATCH, *, symlinks: Symlinks = "follow") -> Iterator[list[Entry]]:
    """Yield the entries below `root` in batches of at most `batch`.

    Hidden files are included. Links to files and directories are followed, all of them or those
    that stay below `root`, or left out, as `symlinks` says; `root` itself may be a link. A link to
    a directory above itself is skipped. Blocks on the disk: run it in a thread. Memory is bounded
    by the depth of the tree and the directories waiting, not by the number of files.

    Raises:
        SourceError: `root` itself is missing, not a directory, or unreadable.
        ResourceError: this process lacks a descriptor for `root`.
    """
    pending: list[Entry] = []
    for entry in _entries(root, symlinks):
        pending.append(entry)
        if len(pending) >= batch:
            yield pending
            pending = []
    if pending:
        yield pending


def count_files(root: str, symlinks: Symlinks = "follow") -> int:
    """Return how many files and problems `walk` would yield, 0 if `root` is unreadable."""
    try:
        batches = walk(root, symlinks=symlinks)
        return sum(not isinstance(entry, Skipped) for batch in batches for entry in batch)
    except (SourceError, ResourceError):
        return 0


def _entries(root: str, symlinks: Symlinks) -> Iterator[Entry]:
    top = _open_root(root)
    tree = _Tree(top.real, symlinks)
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        try:
            with _listing(directory.path) as listing:
                for item in listing:
                    found = _classify(item, directory, tree)
                    if isinstance(found, _Directory):
                        waiting.append(found)
                    else:
                        yield found
        except ResourceError as error:
            yield Problem(directory.prefix.rstrip("/") or ".", error)
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
        _listing(root).close()
    except OSError as error:
        raise _unreadable(root, error) from error
    return _Directory(root, "", ((status.st_dev, status.st_ino),), os.path.realpath(root))


def _listing(path: str) -> "os._ScandirIterator[str]":
    return patiently(lambda: os.scandir(path))


def _classify(item: os.DirEntry[str], parent: _Directory, tree: _Tree) -> Entry | _Directory:
    name, via = parent.prefix + item.name, parent.via
    real = ""
    if item.is_symlink():
        real = os.path.realpath(item.path)
        via = "inside" if tree.has(real) else "outside"
        left_out = _left_out(item.path, real, via, tree)
        if left_out is not None:
            return Skipped(name, left_out)
    try:
        status = item.stat()
    except FileNotFoundError:
        code = "source.broken_link" if item.is_symlink() else "source.vanished"
        return Problem(name, SourceError(code, path=item.path))
    except OSError as error:
        return Problem(name, _unreadable(item.path, error))
    if stat.S_ISREG(status.st_mode):
        if tree.symlinks == "follow":
            return SourceFile(name, status.st_size, via)
        return SourceFile(name, status.st_size, via, tree.within(real or parent.real_of(item)))
    if not stat.S_ISDIR(status.st_mode):
        kind = kind_of(status)
        return Problem(name, SourceError("source.special", path=item.path, kind=kind))
    # DirEntry.stat() gives no inode for a directory on Windows; os.stat does everywhere.
    identity = (status.st_dev, status.st_ino)
    if identity in parent.lineage:
        return Skipped(name, SourceError("source.link_cycle", path=item.path))
    lineage = (*parent.lineage, identity)
    return _Directory(item.path, f"{name}/", lineage, real or parent.real_of(item), via)


def _left_out(path: str, real: str, via: Via, tree: _Tree) -> SourceError | None:
    """Return why a link is not followed, whatever it leads to; None if it is."""
    if tree.symlinks == "skip":
        return SourceError("source.link_skipped", path=path)
    if tree.symlinks == "inside" and via == "outside":
        return SourceError("source.link_outside", path=path, target=real)
    return None


def _unreadable(path: str, error: OSError) -> SourceError:
    return SourceError("source.unreadable", path=path, reason=error.strerror or str(error))
