"""A process that uploads with few resources: `limited_child.py LIMIT VALUE PATH PREFIX`.

LIMIT is a limit of the system (RLIMIT_AS: beyond what is mapped already); "threads": the number
that may run; or "taken meanwhile": all VALUE descriptors are in use for a second of the upload.
"""

import json
import os
import resource
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any

from s3_uploader import upload_directory


def mapped() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def allow_threads(most: int) -> None:
    """Refuse to start more, as the system does; its own limits do not bind root."""

    def limited(start: Any) -> Any:
        def start_or_refuse(*arguments: Any, **options: Any) -> Any:
            if threading.active_count() > most:
                raise RuntimeError("can't start new thread")
            return start(*arguments, **options)

        return start_or_refuse

    for name in ("_start_new_thread", "_start_joinable_thread"):
        if hasattr(threading, name):
            setattr(threading, name, limited(getattr(threading, name)))


def take_descriptors() -> None:
    """Use up all descriptors for a second, once the first connections are open."""
    until = time.monotonic() + 20
    while not connected() and time.monotonic() < until:
        time.sleep(0.001)
    with ExitStack() as stack:
        while True:
            try:
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        time.sleep(1)


def connected() -> bool:
    with open("/proc/self/net/tcp", encoding="ascii") as table:
        established = {line.split()[9] for line in table if line.split()[3] == "01"}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.removeprefix("socket:[").rstrip("]") in established:
            return True
    return False


if __name__ == "__main__":
    limit, number, path, prefix = sys.argv[1:]
    value = int(number)
    if limit == "threads":
        allow_threads(value)
    elif limit == "taken meanwhile":
        resource.setrlimit(resource.RLIMIT_NOFILE, (value, value))
        threading.Thread(target=take_descriptors).start()
    else:
        value += mapped() if limit == "RLIMIT_AS" else 0
        resource.setrlimit(getattr(resource, limit), (value, value))
    result = upload_directory(path, prefix, models_subdir="", verbose=False)
    json.dump(result, sys.stdout)
