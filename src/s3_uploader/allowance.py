"""Compute how many requests in flight the descriptors and address space of a process allow."""

import os
import resource
import sys
import threading
from contextlib import ExitStack

from s3_uploader.errors import ResourceError
from s3_uploader.shortage import descriptor_limit, shortage_of
from s3_uploader.sizes import MIB

_MIN_DESCRIPTORS = 18
"""Descriptors of an upload with one request in flight: 8 of the event loop, 2 of the signals'
wake-up, 4 of the journal, a connection, the file, a directory, a module that is imported."""

_RESERVED_DESCRIPTORS = 16
"""The same without the loop's, which are open by then, and a reserve for the application."""

_DESCRIPTORS_PER_REQUEST = 3
"""A socket, the file that it is fed from, and a socket kept open for the next request."""

_MIN_THREADS, _MIN_BYTES = 6, 320 * MIB
"""Threads of an upload with one request in flight, and bytes that are mapped besides their stacks.
With less than half as many bytes, modules fail to import in ways that name anything but memory; the
boto lane needs more than the wire lane (measured)."""

_THREADS_PER_REQUEST = 2
"""One that sends the request, and one that opens, hashes or resolves meanwhile."""

_ARENA = 64 * MIB
"""Bytes that glibc's malloc maps for each thread besides its stack (HEAP_MAX_SIZE)."""

_USUAL_STACK = 8 * MIB


def requests_allowed() -> int:
    """Return how many requests in flight this process can afford besides what it has open."""
    return max(1, min(_by_descriptors(), _by_address_space()))


def require_least() -> None:
    """Raise ResourceError unless this process can afford an upload with one request in flight.

    The check comes first: without descriptors uvloop's C library aborts the process, and without
    memory other libraries do.
    """
    try:
        with ExitStack() as stack:
            for _ in range(_MIN_DESCRIPTORS):
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        shortage = shortage_of(error)
        if shortage is None:
            raise
        raise shortage from error
    left = _address_space_left()
    least = _MIN_BYTES + _MIN_THREADS * _stack_size()
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
        # This system does not list descriptors.
        used = 0
    return (limit - used - _RESERVED_DESCRIPTORS) // _DESCRIPTORS_PER_REQUEST


def _by_address_space() -> int:
    left = _address_space_left() - _MIN_BYTES - _MIN_THREADS * _stack_size()
    return left // (_THREADS_PER_REQUEST * (_stack_size() + _ARENA))


def _address_space_left() -> int:
    """Return the bytes this process may still map (`ulimit -v`)."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return sys.maxsize
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[0])
    except OSError:
        # This system does not say how much is mapped.
        pages = 0
    return limit - pages * resource.getpagesize()


def _stack_size() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return threading.stack_size() or (_USUAL_STACK if soft == resource.RLIM_INFINITY else soft)
