"""Events for readers that calls never wait for."""

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

import anyio

from s3_uploader.events import Event, EventsLost

CAPACITY = 4096
"""Events a subscriber may be behind before it loses the oldest."""


class Subscription:
    """The events one subscriber has not read yet; an async iterator."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=CAPACITY)
        self._lost = 0
        self._closed = False
        self._wake = anyio.Event()

    def put(self, event: Event) -> None:
        """Add an event; drops the oldest when full."""
        if len(self._events) == CAPACITY:
            self._lost += 1
        self._events.append(event)
        self._wake.set()

    def close(self) -> None:
        """End the iteration once what is left has been read."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | EventsLost:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._wake = anyio.Event()
            await self._wake.wait()
        if self._lost:
            lost, self._lost = self._lost, 0
            return EventsLost(count=lost)
        return self._events.popleft()


class Subscriptions:
    """The subscriptions of an Uploader: each gets the events of every call."""

    def __init__(self) -> None:
        self._open: set[Subscription] = set()

    @asynccontextmanager
    async def subscribe(self) -> AsyncGenerator[Subscription]:
        """Yield a new subscription, which ends with the block."""
        subscription = Subscription()
        self._open.add(subscription)
        try:
            yield subscription
        finally:
            self._open.discard(subscription)
            subscription.close()

    def put(self, event: Event) -> None:
        """Add an event to each subscription."""
        for subscription in self._open:
            subscription.put(event)

    def close(self) -> None:
        """End each subscription once what is left has been read."""
        for subscription in self._open:
            subscription.close()
