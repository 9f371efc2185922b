"""A small pool of worker threads, which serve until their owner closes the pool."""

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
    """The state that threads share with their pool; not the pool, so that it can be collected."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[_Work | None] = SimpleQueue()
        self.lock = Lock()
        self.free = 0

    def serve(self, ended: "Future[None]") -> None:
        """Run queued work, until None is queued."""
        while (work := self.queue.get()) is not None:
            result: Any = None
            failure: BaseException | None = None
            if work.future.set_running_or_notify_cancel():
                try:
                    result = work.call()
                except BaseException as error:  # noqa: BLE001  (the future carries whatever it is)
                    failure = error
            # Free before the future is done: its waiter may submit the next work at once.
            with self.lock:
                self.free += 1
            if failure is not None:
                work.future.set_exception(failure)
            elif not work.future.cancelled():
                work.future.set_result(result)
            # A waiting thread keeps nothing of its last work alive.
            del work, result, failure
        ended.set_result(None)


class Threads(Executor):
    """An executor of at most `max_threads` threads, started as they are needed.

    It differs from ThreadPoolExecutor in two ways. It serves while the interpreter exits: a
    program's last thread may still upload. And if no thread can be started, only that submission
    fails; ThreadPoolExecutor raises, and runs the work later anyway.

    Args:
        max_threads: threads at once.
        name: how the names of the threads begin.
    """

    def __init__(self, max_threads: int, name: str) -> None:
        self._max_threads = max_threads
        self._name = name
        self._shared = _Shared()
        self._threads: list[tuple[Thread, Future[None]]] = []

    def submit(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Return the future of `work(*args, **kwargs)`; ResourceError in it if no thread starts."""
        future: Future[T] = Future()
        shared = self._shared
        with shared.lock:
            if shared.free <= 0 and len(self._threads) < self._max_threads:
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
        # A daemon: a pool that was never closed must not keep the interpreter from exiting.
        thread = Thread(target=self._shared.serve, args=(ended,), name=name, daemon=True)
        thread.start()
        self._threads.append((thread, ended))
        self._shared.free += 1

    async def close(self) -> None:
        """End the threads once the queued work is done."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._shared.queue.put(None)
        for thread, ended in threads:
            await asyncio.wrap_future(ended)
            thread.join()

    def __del__(self) -> None:
        for _ in self._threads:
            self._shared.queue.put(None)
