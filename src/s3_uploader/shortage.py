"""Distinguish a shortage of descriptors, threads or memory from every other failure."""

import errno
import resource
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from s3_uploader.errors import ResourceError, S3UploaderError

T = TypeVar("T")

_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between the attempts of `patiently`: work in progress closes its files meanwhile."""

_NO_MEMORY = frozenset({errno.ENOMEM, errno.ENOBUFS, socket.EAI_MEMORY})
_LATE = ("after shutdown", "at interpreter shutdown", "after interpreter shutdown")
"""How the messages end with which CPython refuses a thread, or a module that starts threads, once
the main thread has ended."""


def shortage_of(error: BaseException) -> ResourceError | None:
    """Return the shortage that caused `error`, or None if something else did.

    A shortage caused an exception group if it caused every exception in the group.
    """
    match error:
        case ResourceError():
            return error
        case BaseExceptionGroup():
            inner = [shortage_of(one) for one in error.exceptions]
            return inner[0] if all(inner) else None
        case MemoryError():
            return ResourceError("process.memory", retryable=True, detail="MemoryError")
        case OSError(errno=errno.EMFILE):
            return ResourceError("process.descriptors", retryable=True, limit=descriptor_limit())
        case OSError(errno=errno.ENFILE):
            return ResourceError("process.open_files", retryable=True)
        case OSError() if error.errno in _NO_MEMORY:
            return ResourceError(
                "process.memory", retryable=True, detail=error.strerror or type(error).__name__
            )
        case RuntimeError() if str(error) == "can't start new thread":
            return ResourceError("process.threads", retryable=True)
        case RuntimeError() if _ending() and str(error).endswith(_LATE):
            return ResourceError("process.ending", fatal=True, detail=str(error))
    return None


def expected_failure(error: BaseException) -> S3UploaderError | None:
    """Return the expected failure that `error` is or causes; None if `error` is a bug."""
    if isinstance(error, S3UploaderError):
        return error
    shortage = shortage_of(error)
    if shortage is not None and shortage.__cause__ is None:
        shortage.__cause__ = error
    return shortage


def _ending() -> bool:
    return not threading.main_thread().is_alive()


def descriptor_limit() -> int:
    """Return how many descriptors this process may have open (`ulimit -n`)."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def patiently(work: Callable[[], T]) -> T:
    """Return `work()`, retried for 1.5 s while no descriptor is free.

    Blocks: for worker threads. `work` must be safe to repeat, such as opening a file.

    Raises:
        ResourceError: no descriptor became free.
    """
    for wait in (*_WAITS, None):
        try:
            return work()
        except OSError as error:
            shortage = shortage_of(error)
            if shortage is None:
                raise
            if wait is None:
                raise shortage from error
        time.sleep(wait)
    raise AssertionError("unreachable: the last round returns or raises")
