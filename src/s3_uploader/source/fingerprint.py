"""Tell whether a file is still the one that was opened: a changed file is never published."""

import os
import stat
from dataclasses import dataclass

from s3_uploader.errors import SourceError
from s3_uploader.source.within import Within


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells that a file is still the one that was opened."""

    size: int
    mtime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Fingerprint":
        """Take the fingerprint from an `os.stat` result."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)

    def check(self, path: str, status: os.stat_result) -> None:
        """Raise SourceError "source.changed" if `status` is of another file or another state."""
        now = Fingerprint.of(status)
        if now == self:
            return
        if now.size != self.size:
            detail = f"size {self.size} -> {now.size}"
        elif now.mtime_ns != self.mtime_ns:
            detail = "modification time"
        else:
            detail = "replaced by another file"
        raise SourceError("source.changed", path=path, detail=detail)


def open_source(path: str, within: Within | None = None) -> Fingerprint:
    """Return the fingerprint of the regular file at `path`. Blocks on the disk.

    Raises:
        SourceError: missing, a directory, a broken link, not a regular file, unreadable, or
            another file than `within`.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise source_error(path, error) from error
    except ValueError as error:
        raise SourceError("source.bad_path", path=repr(path)) from error
    if stat.S_ISDIR(status.st_mode):
        raise SourceError("source.is_directory", path=path)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError("source.special", path=path, kind="special file")
    if within is not None:
        within.check(path, status)
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise source_error(path, error) from error
    return Fingerprint.of(status)


def recheck(path: str, fingerprint: Fingerprint) -> None:
    """Raise SourceError if the file at `path` is gone or changed. Blocks on the disk."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise SourceError("source.vanished", path=path) from error
    fingerprint.check(path, status)


def source_error(path: str, error: OSError) -> SourceError:
    """Return what a failure to open or read the file at `path` stands for."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        code = "source.broken_link" if os.path.islink(path) else "source.missing"
        return SourceError(code, path=path)
    return SourceError("source.unreadable", path=path, reason=error.strerror or str(error))
