"""Keep idle connections, the last used first; forget those too old or idle for too long."""

import time
from typing import Generic, Protocol, TypeVar

IDLE_LIMIT = 15.0
"""Seconds a connection may be idle: stores and the proxies before them close at 20 and more."""

AGE_LIMIT = 300.0
"""Seconds a connection may be used, so that a change of DNS is followed."""


class Poolable(Protocol):
    """A connection a pool can hold; times are `time.monotonic()`."""

    opened_at: float
    used_at: float

    @property
    def usable(self) -> bool:
        """Whether the peer has neither closed nor sent anything unasked."""
        ...

    def close(self) -> None:
        """Close at once."""
        ...


C = TypeVar("C", bound=Poolable)


class Pool(Generic[C]):
    """Idle connections of one origin."""

    def __init__(self) -> None:
        self._idle: list[C] = []

    def __len__(self) -> int:
        return len(self._idle)

    def acquire(self) -> C | None:
        """Return a connection that should still work, or None."""
        now = time.monotonic()
        while self._idle:
            connection = self._idle.pop()
            fresh = now - connection.used_at < IDLE_LIMIT and now - connection.opened_at < AGE_LIMIT
            if fresh and connection.usable:
                return connection
            connection.close()
        return None

    def release(self, connection: C) -> None:
        """Keep a connection for the next request."""
        connection.used_at = time.monotonic()
        self._idle.append(connection)

    def close(self) -> None:
        """Close all."""
        while self._idle:
            self._idle.pop().close()
