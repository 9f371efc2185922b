"""One limiter for all requests of an Uploader: anyio's, its total set by the controller."""

import asyncio
import time

import anyio

from s3_uploader.engine.pacing.controller import FAR_SECONDS, SILENT_SECONDS, SMALL_BODY, Controller
from s3_uploader.errors import ResourceError, S3UploaderError, StoreError
from s3_uploader.store.errors import RETRYABLE_STATUS

_OVERLOADED = RETRYABLE_STATUS - {408}
"""408 says that the request was slow to come, not that there are too many."""

_SILENT = frozenset({"store.timeout", "store.reset"})


class Limiter:
    """Hands out tokens for requests, as many at once as the controller finds useful.

    Args:
        start: requests in flight to begin with.
        ceiling: requests in flight never exceeded.
    """

    def __init__(self, start: int, ceiling: int) -> None:
        self._controller = Controller(start, ceiling)
        self._capacity = anyio.CapacityLimiter(self._controller.limit)
        self._grown = anyio.Event()
        self._all_small = True
        self._listening: asyncio.TimerHandle | None = None

    @property
    def limit(self) -> int:
        """Requests in flight allowed now."""
        return self._controller.limit

    async def acquire(self, size: int | None) -> object:
        """Return a token for one attempt of a request; give it back with `release`.

        `size` is the body's, in bytes; None for a request that carries none.
        """
        self._all_small &= size is not None and size <= SMALL_BODY
        # Without waiting where one is free: the capacity's checkpoint costs a turn of the loop.
        token = object()
        try:
            self._capacity.acquire_on_behalf_of_nowait(token)
        except anyio.WouldBlock:
            await self._capacity.acquire_on_behalf_of(token)
        if self._listening is None and not self._capacity.available_tokens:
            loop = asyncio.get_running_loop()
            self._listening = loop.call_later(SILENT_SECONDS, self._silent)
        return token

    def release(self, token: object) -> None:
        """Give a token back; the next request may start, if the limit allows."""
        self._capacity.release_on_behalf_of(token)
        self._apply()

    def succeeded(self, size: int | None, began: float) -> None:
        """Note, before its release, a request that succeeded.

        Args:
            size: bytes of its body, None if it carried none: that says nothing of goodput.
            began: `time.monotonic()` when it got its token.
        """
        now = time.monotonic()
        if size is None:
            if now - began < FAR_SECONDS:
                self._controller.near()
                self._apply()
            return
        self._controller.succeed(now, size, self._capacity.borrowed_tokens, now - began)

    def failed(self, error: S3UploaderError) -> None:
        """Note, before its release, a request that failed."""
        if isinstance(error, ResourceError):
            self._controller.short(int(self._capacity.borrowed_tokens))
        elif _is_overload(error):
            self._controller.overload(time.monotonic())

    def _silent(self) -> None:
        if self._all_small:
            self._controller.silent()
            self._apply()

    def _apply(self) -> None:
        limit = self._controller.limit
        before = self._capacity.total_tokens
        if before != limit:
            self._capacity.total_tokens = limit
        if limit > before:
            self._grown.set()
            self._grown = anyio.Event()

    async def grown(self) -> None:
        """Wait until the limit is raised."""
        await self._grown.wait()


def _is_overload(error: S3UploaderError) -> bool:
    return isinstance(error, StoreError) and (error.status in _OVERLOADED or error.code in _SILENT)
