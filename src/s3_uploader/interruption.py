"""SIGINT and SIGTERM for a program that calls the sync functions: stop in order, or at once.

The first signal cancels the upload, which ends within 5 seconds; a second one ends the process at
once. Afterwards the signal does what it would have done: KeyboardInterrupt, or the end by SIGTERM.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import anyio

T = TypeVar("T")


def ours() -> frozenset[signal.Signals]:
    """Return the signals to take: those the program has left as Python or the system made them.

    None outside the main thread, where Python lets nobody handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return frozenset()
    untouched = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    return frozenset(
        number for number, default in untouched.items() if signal.getsignal(number) is default
    )


async def interruptible(main: Callable[[], Awaitable[T]], signals: frozenset[signal.Signals]) -> T:
    """Await `main()`, cancelled by the first of `signals`.

    Raises:
        KeyboardInterrupt: it was SIGINT. SIGTERM ends the process.
    """
    caught: list[signal.Signals] = []
    results: list[T] = []
    with anyio.CancelScope() as scope, _handled(signals, scope, caught):
        results.append(await main())
    # Also where it came too late to cancel anything: a program's loop around this must end.
    for number in caught:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        _end_by(number)
    return results[0]


@contextmanager
def _handled(
    signals: frozenset[signal.Signals], scope: anyio.CancelScope, caught: list[signal.Signals]
) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def handle(number: signal.Signals) -> None:
        if caught:
            _end_by(number)
        caught.append(number)
        scope.cancel()

    before = {number: signal.getsignal(number) for number in signals}
    for number in signals:
        loop.add_signal_handler(number, handle, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _end_by(number: signal.Signals) -> None:
    """End this process as the signal does by itself, so that its parent sees why."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
