"""Which process holds which row, so that no two uploads resume the same one.

Byte n of a lock file is locked for row n. The system frees it when the process ends, however it
ends; within the process a set records it. One descriptor serves all rows: closing a second one of
the same file would free the first one's locks (POSIX, `fcntl`), so it stays open.
"""

import fcntl
import os
import threading

from s3_uploader.source import kind_of

_open: dict[str, "Leases"] = {}
_guard = threading.Lock()


class Leases:
    """The rows of one journal that this process holds."""

    @classmethod
    def of(cls, path: str) -> "Leases":
        """Return the leases of the lock file at `path`; raises OSError if it cannot be opened."""
        path = os.path.realpath(path)
        with _guard:
            leases = _open.get(path)
            if leases is None or not leases.valid(path):
                leases = _open[path] = cls(path)
            return leases

    def __init__(self, path: str) -> None:
        # Looked at first: to open a device can be to act on it.
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(f"{path} is a {kind_of(os.stat(path))}")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._process = os.getpid()
        self._rows: set[int] = set()

    def valid(self, path: str) -> bool:
        """Whether these are the file's: not a forked child's, nor those of a file now removed."""
        if self._process != os.getpid():
            # It inherits the descriptor, but none of the locks.
            return False
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def acquire(self, row: int) -> bool:
        """Acquire the row; return whether it was free."""
        with _guard:
            if row in self._rows:
                return False
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, row)
            except (BlockingIOError, PermissionError):
                return False
            self._rows.add(row)
            return True

    def release(self, row: int) -> None:
        """Release the row."""
        with _guard:
            if row in self._rows:
                self._rows.discard(row)
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, row)
