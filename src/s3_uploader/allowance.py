"""How many requests in flight a process can afford: by its descriptors, and its address space."""

import os
import resource
import sys
import threading
from contextlib import ExitStack

from s3_uploader.errors import ResourceError
from s3_uploader.shortage import descriptor_limit, shortage_of
from s3_uploader.sizes import MIB

_LEAST_DESCRIPTORS = 18
"""What an upload with one request in flight opens: the event loop 8 and the signals' wake-up 2, the
journal 4, a connection, the file, a directory, a module that is imported."""

_OTHER_DESCRIPTORS = 16
"""The same without the loop, which is open by then, and a reserve for the application."""

_DESCRIPTORS = 3
"""Of a request: a socket, the file it is fed from, and a socket kept open for the next one."""

_LEAST_THREADS, _LEAST_BYTES = 6, 320 * MIB
"""Threads of an upload with one request in flight, and bytes it maps beside their stacks. With less
than half of it modules fail to import in ways that name anything but memory; the boto lane takes
more than the wire lane (measured)."""

_THREADS = 2
"""Of a request: one that sends it, and one that opens, hashes or looks up beside."""

_ARENA = 64 * MIB
"""What glibc's malloc maps for each thread beside its stack (HEAP_MAX_SIZE)."""

_USUAL_STACK = 8 * MIB


def requests_allowed() -> int:
    """Return how many requests in flight this process can afford beside what it has open by now."""
    return max(1, min(_by_descriptors(), _by_address_space()))


def require_least() -> None:
    """Raise ResourceError unless an upload with one request in flight can do its work.

    Asked beforehand: where descriptors are lacking uvloop's C library ends the process, and where
    memory is, other libraries do.
    """
    try:
        with ExitStack() as stack:
            for _ in range(_LEAST_DESCRIPTORS):
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        shortage = shortage_of(error)
        if shortage is None:
            raise
        raise shortage from error
    left = _address_space_left()
    least = _LEAST_BYTES + _LEAST_THREADS * _stack_size()
    if left < least:
        detail = f"{left // MIB} MiB of address space left, {least // MIB} MiB needed"
        raise ResourceError("process.memory", detail=detail)


def _by_descriptors() -> int:
    limit = descriptor_limit()
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    try:
        used = len(os.listdir("/dev/fd"))
    except OSError:
        # A system that does not list them.
        used = 0
    return (limit - used - _OTHER_DESCRIPTORS) // _DESCRIPTORS


def _by_address_space() -> int:
    left = _address_space_left() - _LEAST_BYTES - _LEAST_THREADS * _stack_size()
    return left // (_THREADS * (_stack_size() + _ARENA))


def _address_space_left() -> int:
    """Return the bytes this process may still map (`ulimit -v`)."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[0])
    except OSError:
        # A system that does not tell.
        pages = 0
    return limit - pages * resource.getpagesize()


def _stack_size() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return threading.stack_size() or (_USUAL_STACK if soft == resource.RLIM_INFINITY else soft)
