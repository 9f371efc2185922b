"""One limiter for all requests of an Uploader: anyio's, its total set by the controller."""

import asyncio
import time

import anyio

from s3_uploader.engine.pacing.controller import (
    FAR_SECONDS,
    NO_RESPONSE_SECONDS,
    SMALL_BODY,
    Controller,
)
from s3_uploader.errors import ResourceError, S3UploaderError, StoreError
from s3_uploader.store.errors import RETRYABLE_STATUS

_OVERLOAD_STATUS = RETRYABLE_STATUS - {408}
"""408 says that the request was slow to come, not that there are too many."""

_TIMEOUT_CODES = frozenset({"store.timeout", "store.reset"})


class Limiter:
    """Hands out tokens for requests, as many at once as the controller finds useful.

    Args:
        start: requests in flight to begin with.
        ceiling: requests in flight never exceeded.
    """

    def __init__(self, start: int, ceiling: int) -> None:
        self._controller = Controller(start, ceiling)
        self._capacity = anyio.CapacityLimiter(self._controller.limit)
        self._growth = anyio.Event()
        self._all_small = True
        self._silence_timer: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> int:
        """Requests in flight allowed now."""
        return self._controller.limit

    async def acquire(self, size: int | None) -> object:
        """Acquire a token for one attempt of a request; free it with `release`.

        `size` is the body's, in bytes; None for a request that carries none.
        """
        self._all_small &= size is not None and size <= SMALL_BODY
        # Without waiting where one is free: the capacity's checkpoint costs a turn of the loop.
        token = object()
        try:
            self._capacity.acquire_on_behalf_of_nowait(token)
        except anyio.WouldBlock:
            await self._capacity.acquire_on_behalf_of(token)
        if self._silence_timer is None and not self._capacity.available_tokens:
            loop = asyncio.get_running_loop()
            self._silence_timer = loop.call_later(NO_RESPONSE_SECONDS, self._no_response_yet)
        return token

    def release(self, token: object) -> None:
        """Release a token; the next request may start, if the limit allows."""
        self._capacity.release_on_behalf_of(token)
        self._apply()

    def succeeded(self, size: int | None, began: float) -> None:
        """Record, before its release, a request that succeeded.

        Args:
            size: bytes of its body, None if it carried none: that says nothing of goodput.
            began: `time.monotonic()` when it got its token.
        """
        now = time.monotonic()
        if size is None:
            if now - began < FAR_SECONDS:
                self._controller.low_latency()
                self._apply()
            return
        self._controller.succeed(now, size, self._capacity.borrowed_tokens, now - began)

    def failed(self, error: S3UploaderError) -> None:
        """Record, before its release, a request that failed."""
        if isinstance(error, ResourceError):
            self._controller.short(int(self._capacity.borrowed_tokens))
        elif _is_overload(error):
            self._controller.overload(time.monotonic())

    def _no_response_yet(self) -> None:
        if self._all_small:
            self._controller.no_response_yet()
            self._apply()

    def _apply(self) -> None:
        limit = self._controller.limit
        before = self._capacity.total_tokens
        if before != limit:
            self._capacity.total_tokens = limit
        if limit > before:
            self._growth.set()
            self._growth = anyio.Event()

    async def wait_for_growth(self) -> None:
        """Wait until the limit is raised."""
        await self._growth.wait()


def _is_overload(error: S3UploaderError) -> bool:
    return isinstance(error, StoreError) and (
        error.status in _OVERLOAD_STATUS or error.code in _TIMEOUT_CODES
    )
