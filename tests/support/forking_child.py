"""A process that forks while it uploads: `forking_child.py HOST LOOP PATH KEY`.

A line on stdin starts the forks.

HOST is where the upload runs: "main" (the main thread), "loop" (inside a running event loop),
"thread", or "service" (an Uploader in the program's own loop). Writes one line of JSON for the
forks, and one for the upload.
"""

import asyncio
import ctypes
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_FORK = multiprocessing.get_context("fork")
_WAIT_SECONDS = 20
_AT_ONCE = 25
"""Children that are terminated in the moment they begin."""


def _signals() -> dict[str, Any]:
    """Return how this process handles signals; a child calls it for its own."""
    return {
        "handlers": [id(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM)],
        "wakeup": signal.set_wakeup_fd(-1),
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    }


def _forked(child: Callable[[int], object]) -> tuple[int, int]:
    """Fork; return the child's id and the end of a pipe that `child` may write to."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read)
        child(write)
        os._exit(0)
    os.close(write)
    return process, read


def signals_of_a_child() -> dict[str, Any]:
    process, pipe = _forked(lambda write: os.write(write, json.dumps(_signals()).encode()))
    with open(pipe, encoding="utf-8") as output:
        found: dict[str, Any] = json.load(output)
    os.waitpid(process, 0)
    return found


def _wait(process: int) -> int | str:
    """Return a child's exit code, as subprocess has it; "alive" where it does not end."""
    until = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < until:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return "alive"


def _sleep(write: int) -> None:
    try:
        os.write(write, b"x")
        for _ in range(6000):
            # Short: a signal that comes just before a system call is seen after it.
            time.sleep(0.01)
    except KeyboardInterrupt:
        os._exit(42)


def _killed(number: signal.Signals) -> int | str:
    process, pipe = _forked(_sleep)
    os.read(pipe, 1)
    os.close(pipe)
    os.kill(process, number)
    return _wait(process)


def _of_a_library() -> str:
    """Terminate a child that was forked without Python's hooks, as C libraries do."""
    process = ctypes.PyDLL(None).fork()
    if process == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(process, signal.SIGTERM)
    # It sleeps on: nothing runs Python's handlers in it.
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return "ended"


def _exits(_write: int) -> None:
    # Up through the stack of the main thread: the whole interpreter is taken down.
    sys.exit(7)


def _multiprocessing() -> int | str:
    process = _FORK.Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join(_WAIT_SECONDS)
    code = process.exitcode
    if code is None:
        process.kill()
        return "alive"
    return code


def _pool() -> str:
    pool = _FORK.Pool(2)
    pool.map(abs, range(4))

    def end() -> None:
        pool.terminate()
        pool.join()

    ended = threading.Thread(target=end, daemon=True)
    ended.start()
    ended.join(_WAIT_SECONDS)
    return "alive" if ended.is_alive() else "ended"


def _subprocess() -> int:
    process = subprocess.Popen(["sleep", "60"])
    process.terminate()
    return process.wait(_WAIT_SECONDS)


def forks(host: str) -> dict[str, Any]:
    found: dict[str, Any] = {"signals": signals_of_a_child(), "SIGTERM": _killed(signal.SIGTERM)}
    # In the other hosts asyncio takes it, for the program. And Python 3.13 loses signals of a child
    # that another thread than the main one has forked (without us too, half of them).
    if host == "thread" or (host == "main" and sys.version_info < (3, 13)):
        found["SIGINT"] = _killed(signal.SIGINT)
    return found | {
        "terminated at once": sorted({str(_multiprocessing()) for _ in range(_AT_ONCE)}),
        "of a library": _of_a_library(),
        "pool": _pool(),
        "subprocess": _subprocess(),
    }


def _report(**what: Any) -> None:
    os.write(1, f"{json.dumps(what)}\n".encode())


def _fork_on_request(host: str, before: dict[str, Any]) -> None:
    sys.stdin.readline()
    _report(before=before, during=forks(host))


def _upload(path: str, key: str) -> None:
    from s3_uploader import upload_file  # noqa: PLC0415  (uvloop may have to be hidden before)

    _report(uploaded=upload_file(path, key, models_subdir="", verbose=False))


def main(host: str, path: str, key: str) -> None:
    before = signals_of_a_child()
    if host == "main":
        threading.Thread(target=_fork_on_request, args=(host, before)).start()
        _upload(path, key)
        return
    upload = threading.Thread(target=_upload, args=(path, key))
    upload.start()
    sys.stdin.readline()
    process, _ = _forked(_exits)
    _report(before=before, during=forks(host) | {"exit": _wait(process)})
    upload.join()


async def main_in_a_loop(host: str, path: str, key: str) -> None:
    from s3_uploader import Uploader  # noqa: PLC0415  (as above)

    threading.Thread(target=_fork_on_request, args=(host, signals_of_a_child())).start()
    if host == "loop":
        _upload(path, key)
        return
    async with Uploader() as uploader:
        _report(uploaded=(await uploader.upload_file(path, key)).ok)


if __name__ == "__main__":
    host, loop, path, key = sys.argv[1:]
    if loop == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment]
    if host in {"loop", "service"}:
        asyncio.run(main_in_a_loop(host, path, key))
    else:
        main(host, path, key)
