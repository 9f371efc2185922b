"""One limiter for all requests of an Uploader: anyio's, its total set by the controller."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from s3_uploader.engine.controller import Controller
from s3_uploader.errors import S3UploaderError, StoreError

_OVERLOADED = frozenset({429, 500, 502, 503, 504, *range(520, 528)})
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

    @property
    def limit(self) -> int:
        """Requests in flight allowed now."""
        return self._controller.limit

    @asynccontextmanager
    async def token(self, size: int) -> AsyncGenerator[None]:
        """Hold a token for one attempt of a request whose body has `size` bytes."""
        token = await self._take()
        try:
            yield
        except S3UploaderError as error:
            if _is_overload(error):
                self._controller.overload(time.monotonic())
            raise
        else:
            in_flight = self._capacity.borrowed_tokens
            self._controller.succeed(time.monotonic(), size, in_flight)
        finally:
            self._capacity.release_on_behalf_of(token)
            if self._capacity.total_tokens != self._controller.limit:
                self._capacity.total_tokens = self._controller.limit

    async def _take(self) -> object:
        # Without waiting where one is free: the capacity's checkpoint costs a turn of the loop.
        token = object()
        try:
            self._capacity.acquire_on_behalf_of_nowait(token)
        except anyio.WouldBlock:
            await self._capacity.acquire_on_behalf_of(token)
        return token


def _is_overload(error: S3UploaderError) -> bool:
    return isinstance(error, StoreError) and (error.status in _OVERLOADED or error.code in _SILENT)
