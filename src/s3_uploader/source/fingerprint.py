"""Open a source, and check that it is still the same file: a changed file is never published.

Every open of a source in the package is `open_regular`.
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field

from s3_uploader.errors import ResourceError, SourceError
from s3_uploader.shortage import patiently, shortage_of
from s3_uploader.source.within import Within

_KINDS = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What shows that a file is still the one that was opened.

    Attributes:
        size: bytes.
        mtime_ns: modification time.
        inode, device: which file it is.
        ctime_ns: status change time, which cannot be set back as a modification time can be. It
            guards one run and is no part of the identity: a copy, a restored volume or another
            mount of the same bytes has a new one, so the journal does not keep it.
    """

    size: int
    mtime_ns: int
    inode: int
    device: int
    ctime_ns: int = field(default=0, compare=False)

    @classmethod
    def of(cls, status: os.stat_result) -> "Fingerprint":
        """Take the fingerprint from an `os.stat` result."""
        return cls(
            status.st_size,
            status.st_mtime_ns,
            status.st_ino,
            status.st_dev,
            status.st_ctime_ns,
        )

    def check(self, path: str, status: os.stat_result) -> None:
        """Compare with `status`, the file's present one.

        Reading a file leaves its status change time alone. Setting its mode, owner, times, extended
        attributes, name or number of links moves it, and so does writing to it.

        Raises:
            SourceError: "source.changed" for another file or other content, "source.touched" where
                only the status change time has moved.
        """
        now = Fingerprint.of(status)
        if now == self:
            if now.ctime_ns != self.ctime_ns:
                raise self._touched(path)
            return
        if now.size != self.size:
            detail = f"size {self.size} -> {now.size}"
        elif now.mtime_ns != self.mtime_ns:
            detail = "modification time"
        else:
            detail = "replaced by another file"
        raise SourceError("source.changed", path=path, detail=detail)

    def _touched(self, path: str) -> SourceError:
        """Return why the status change time has moved: a file that loses its name has a new one."""
        try:
            now = Fingerprint.of(os.stat(path))
        except OSError:
            return SourceError("source.vanished", path=path)
        if now != self:
            return SourceError("source.changed", path=path, detail="replaced by another file")
        return SourceError("source.touched", path=path)


def open_regular(path: str) -> tuple[int, os.stat_result]:
    """Open the regular file at `path` for reading; return its descriptor and its status.

    Whatever is there by now, nothing waits and nothing is read: a fifo does not wait for a writer,
    a terminal does not become ours.

    Raises:
        SourceError: missing, a directory, a broken link, not a regular file, or unreadable.
        ResourceError: this process lacks a descriptor for it.
    """
    try:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = patiently(lambda: os.open(path, flags))
    except OSError as error:
        with suppress(OSError):
            # A socket, for one, cannot be opened, and the reason given is no help.
            _check_kind(path, os.stat(path))
        raise source_error(path, error) from error
    try:
        status = os.fstat(descriptor)
        _check_kind(path, status)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def open_source(path: str, within: Within | None = None) -> Fingerprint:
    """Return the fingerprint of the regular file at `path`, which can be read. Blocks on the disk.

    Raises:
        SourceError: as `open_regular`, or another file than `within`.
    """
    try:
        # Looked at first: to open a device can be to act on it.
        _check_kind(path, os.stat(path))
    except OSError as error:
        raise source_error(path, error) from error
    except ValueError as error:
        raise SourceError("source.bad_path", path=repr(path)) from error
    descriptor, status = open_regular(path)
    os.close(descriptor)
    if within is not None:
        within.check(path, status)
    return Fingerprint.of(status)


def recheck(path: str, fingerprint: Fingerprint) -> None:
    """Raise SourceError if the file at `path` is gone or changed. Blocks on the disk."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise SourceError("source.vanished", path=path) from error
    fingerprint.check(path, status)


def kind_of(status: os.stat_result) -> str:
    """Return what a file that is no regular one is, for messages."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "special file")


def source_error(path: str, error: OSError) -> SourceError | ResourceError:
    """Return what a failure to open or read the file at `path` stands for."""
    shortage = shortage_of(error)
    if shortage is not None:
        return shortage
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        code = "source.broken_link" if os.path.islink(path) else "source.missing"
        return SourceError(code, path=path)
    return SourceError("source.unreadable", path=path, reason=error.strerror or str(error))


def _check_kind(path: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise SourceError("source.is_directory", path=path)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError("source.special", path=path, kind=kind_of(status))
