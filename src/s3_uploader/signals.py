"""Handle SIGINT and SIGTERM while a sync function runs: stop in order, or at once.

The first signal cancels the call, which ends within 5 seconds; a second one ends the process at
once. Afterwards the first signal has its usual effect: KeyboardInterrupt, or the end by SIGTERM.

A process forked meanwhile is not affected: a signal sent to the child must do there what it would
have done without this module, and nothing here.
"""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio

T = TypeVar("T")

_DEFAULTS: Mapping[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""The handlers that Python and the system install."""


@dataclass(frozen=True, slots=True)
class _Before:
    """The state that a forked child restores: handlers, and the wake-up descriptor."""

    handlers: Mapping[signal.Signals, Any]
    wakeup: int


_before: _Before | None = None
"""None outside of `default_signals`."""

_forking = threading.local()


@contextmanager
def default_signals() -> Iterator[frozenset[signal.Signals]]:
    """Yield the signals to handle: those whose handlers are still the defaults.

    Outside the main thread, where Python allows no signal handlers, there are none. A child that is
    forked during the block restores the state from before the block.
    """
    global _before  # noqa: PLW0603  (signal handlers are the process's, and so is this)
    if threading.current_thread() is not threading.main_thread():
        yield frozenset()
        return
    handlers = {
        number: default
        for number, default in _DEFAULTS.items()
        if signal.getsignal(number) is default
    }
    wakeup = signal.set_wakeup_fd(-1)
    _before = _Before(handlers, wakeup)
    try:
        yield frozenset(handlers)
    finally:
        _before = None
        signal.set_wakeup_fd(wakeup)


async def run_cancellable(
    main: Callable[[], Awaitable[T]], signals: frozenset[signal.Signals]
) -> T:
    """Await `main()`, cancelled by the first of `signals`.

    Raises:
        KeyboardInterrupt: the signal was SIGINT. SIGTERM ends the process.
    """
    caught: list[signal.Signals] = []
    results: list[T] = []
    with anyio.CancelScope() as scope, _handled(signals, scope, caught):
        results.append(await main())
    # Also for a signal too late to cancel anything: a program's loop around this must end.
    for number in caught:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        _die_by(number)
    return results[0]


@contextmanager
def _handled(
    signals: frozenset[signal.Signals], scope: anyio.CancelScope, caught: list[signal.Signals]
) -> Iterator[None]:
    # Not `loop.add_signal_handler`: that reacts to a byte in a pipe that a forked child shares,
    # and so to the child's signals too. A handler runs in the process that received the signal.
    loop = asyncio.get_running_loop()
    owner = os.getpid()

    def handle(number: int, _frame: object) -> None:
        # In a child, it was forked by a library that runs none of Python's fork hooks.
        if caught or os.getpid() != owner:
            _die_by(signal.Signals(number))
        caught.append(signal.Signals(number))
        loop.call_soon_threadsafe(scope.cancel)

    with ExitStack() as stack:
        if signals:
            stack.enter_context(_woken(loop))
        for number in signals:
            stack.callback(signal.signal, number, signal.getsignal(number))
            signal.signal(number, handle)
            signal.siginterrupt(number, False)  # noqa: FBT003  (it takes no keyword)
        yield


@contextmanager
def _woken(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Wake the event loop at a signal: Python runs handlers only between bytecode instructions.

    The byte that arrives only wakes the loop: the signal may have been a forked child's.
    """
    read, write = socket.socketpair()
    with read, write:
        read.settimeout(0)
        write.settimeout(0)

        def drain() -> None:
            with suppress(BlockingIOError):
                read.recv(4096)

        loop.add_reader(read, drain)
        before = signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(read)


def _die_by(number: signal.Signals) -> None:
    """End this process by the signal's default effect, so that the parent process sees why."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


# ------------------------------------------------------------------------------ forked processes


def _before_fork() -> None:
    # Signals wait until the child has its own handlers: a child terminated at once must end.
    if _before is not None:
        _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _before.handlers)


def _after_fork() -> None:
    mask = _forking.__dict__.pop("mask", None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _after_fork_in_child() -> None:
    global _before
    before, _before = _before, None
    if before is not None:
        signal.set_wakeup_fd(before.wakeup)
        for number, handler in before.handlers.items():
            signal.signal(number, handler)
    _after_fork()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
)
