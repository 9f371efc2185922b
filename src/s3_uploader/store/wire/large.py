"""Large bodies: one blocking worker thread per request in flight, one reused buffer each.

Threads use every core, and a buffer that is reused costs no page faults. The engine awaits the
thread; a cancellation shuts the socket down, which frees the thread at its next system call.
"""

import asyncio
import socket
from collections import deque

import anyio

from s3_uploader.store.body import Body
from s3_uploader.store.response import Response
from s3_uploader.store.wire.blocking import BUFFER, LargeConnection
from s3_uploader.store.wire.dial import Origin
from s3_uploader.store.wire.pool import Pool
from s3_uploader.store.wire.small import StaleConnectionError
from s3_uploader.threads import Threads

_FREE_SECONDS = 1.0
"""A worker must be free this long after its socket was shut down."""


class LargeSender:
    """Sends large bodies over pooled connections, each by a worker thread.

    Args:
        origin: where to.
        workers: requests in flight at most.
        stall_timeout, response_timeout: seconds.
    """

    def __init__(
        self, origin: Origin, workers: int, stall_timeout: float, response_timeout: float
    ) -> None:
        self._origin = origin
        self._stall = stall_timeout
        self._response = response_timeout
        self._pool: Pool[LargeConnection] = Pool()
        self._buffers: list[memoryview] = []
        self._dials: deque[asyncio.Task[socket.socket]] = deque()
        self._busy = 0
        self._executor = Threads(workers, "s3-uploader-wire")

    async def exchange(self, head: bytes, body: Body) -> Response:
        """Send a request and return its response.

        Raises:
            OSError: connecting failed, the connection broke, or nothing moved for too long.
            SourceError: from the body.
        """
        kept = self._pool.acquire()
        if kept is not None:
            try:
                return await self._use(kept, head, body)
            except StaleConnectionError:
                pass
        raw = await self._dialled()
        fresh = LargeConnection(raw, self._origin, self._stall, self._response)
        return await self._use(fresh, head, body)

    def preconnect(self, wanted: int) -> None:
        """Begin to open connections, so that there are `wanted` with those in use and idle."""
        for _ in range(wanted - self._busy - len(self._pool) - len(self._dials)):
            self._dials.append(asyncio.create_task(self._origin.dial()))

    def cancel_preconnects(self) -> None:
        """Give up what `preconnect` began and nothing has taken: no more parts are to be sent."""
        while self._dials:
            dial = self._dials.popleft()
            dial.cancel()
            dial.add_done_callback(_close_opened)

    async def _dialled(self) -> socket.socket:
        while self._dials:
            ahead = self._dials.popleft()
            # One that has failed by now describes an earlier state of the store.
            if not (ahead.done() and ahead.exception()):
                return await ahead
        return await self._origin.dial()

    async def close(self) -> None:
        """Close every connection and end the threads."""
        dials = list(self._dials)
        self.cancel_preconnects()
        await asyncio.gather(*dials, return_exceptions=True)
        self._pool.close()
        await self._executor.close()

    async def _use(self, connection: LargeConnection, head: bytes, body: Body) -> Response:
        buffer = self._buffers.pop() if self._buffers else memoryview(bytearray(BUFFER))
        loop = asyncio.get_running_loop()
        self._busy += 1
        work = loop.run_in_executor(self._executor, connection.exchange, head, body, buffer)
        try:
            response, reusable = await asyncio.shield(work)
        except asyncio.CancelledError:
            self.cancel_preconnects()
            connection.cancel()
            await _wait_until_free(work)
            connection.close()
            raise
        except BaseException:
            connection.close()
            self._buffers.append(buffer)
            raise
        finally:
            self._busy -= 1
        self._buffers.append(buffer)
        if reusable:
            self._pool.release(connection)
        else:
            connection.close()
        return response


def _close_opened(dial: "asyncio.Task[socket.socket]") -> None:
    if not dial.cancelled() and dial.exception() is None:
        dial.result().close()


async def _wait_until_free(work: "asyncio.Future[tuple[Response, bool]]") -> None:
    with anyio.move_on_after(_FREE_SECONDS, shield=True):
        await asyncio.wait([work])
    if work.done() and not work.cancelled():
        # Retrieved, so that asyncio does not report an exception that was never retrieved.
        work.exception()
