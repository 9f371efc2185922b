"""A few worker threads of one owner, which serve until the owner ends them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple, ParamSpec, TypeVar

from s3_uploader.shortage import shortage_of

P = ParamSpec("P")
T = TypeVar("T")


class _Work(NamedTuple):
    future: "Future[Any]"
    call: Callable[[], Any]


class _Shared:
    """What the threads hold of their owner; not the owner, so that it can be collected."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Work | None] = SimpleQueue()
        self.lock = Lock()
        self.free = 0

    def serve(self, ended: "Future[None]") -> None:
        """Do what is queued, until told to end."""
        while (work := self.queue.get()) is not None:
            result: Any = None
            failure: BaseException | None = None
            if work.future.set_running_or_notify_cancel():
                try:
                    result = work.call()
                except BaseException as error:  # noqa: BLE001  (it is the future's, whatever it is)
                    failure = error
            # Free before whoever waits knows, who may submit the next at once.
            with self.lock:
                self.free += 1
            if failure is not None:
                work.future.set_exception(failure)
            elif not work.future.cancelled():
                work.future.set_result(result)
            # Nothing of it is held while the thread waits.
            del work, result, failure
        ended.set_result(None)


class Threads(Executor):
    """Runs what is submitted in at most `most` threads, started as they are needed.

    In two ways unlike ThreadPoolExecutor. It serves while the interpreter ends: a program's last
    thread may still upload. And where no thread can be started, that is the failure of this one
    submission; ThreadPoolExecutor raises, and runs it later all the same.

    Args:
        most: threads at once.
        name: what their names begin with.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._shared = _Shared()
        self._threads: list[tuple[Thread, Future[None]]] = []

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Return the future of `work(*args, **kwargs)`; ResourceError in it where no thread is."""
        future: Future[T] = Future()
        shared = self._shared
        with shared.lock:
            if shared.free <= 0 and len(self._threads) < self._most:
                try:
                    self._start()
                except (RuntimeError, MemoryError) as error:
                    future.set_exception(shortage_of(error) or error)
                    return future
            shared.free -= 1
            shared.queue.put(_Work(future, lambda: work(*args, **kwargs)))
        return future

    def _start(self) -> None:
        ended: Future[None] = Future()
        name = f"{self._name}_{len(self._threads)}"
        # A daemon: an owner that was never closed must not keep the interpreter from ending.
        thread = Thread(target=self._shared.serve, args=(ended,), name=name, daemon=True)
        thread.start()
        self._threads.append((thread, ended))
        self._shared.free += 1

    async def close(self) -> None:
        """End the threads, once what is queued is done."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._shared.queue.put(None)
        for thread, ended in threads:
            await asyncio.wrap_future(ended)
            thread.join()

    def __del__(self) -> None:
        for _ in self._threads:
            self._shared.queue.put(None)
