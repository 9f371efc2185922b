"""The fault proxy: its own thread and event loop, in front of a real S3 server."""

import asyncio
import functools
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol, Self

from s3_uploader.profile import Profile
from s3_uploader.testing.faults.connection import Connection, Upstream
from s3_uploader.testing.faults.exchange import Exchange, RequestState
from s3_uploader.testing.faults.fault import ANY, Fault, Schedule
from s3_uploader.testing.faults.http import CHUNK
from s3_uploader.testing.faults.request import Request
from s3_uploader.testing.faults.request_log import Listener, Record, RequestLog
from s3_uploader.testing.faults.spec import fault_text, parse_fault
from s3_uploader.testing.server import LocalS3Server

_HOST = "127.0.0.1"


class FaultProxy:
    """An HTTP proxy that passes S3 requests to a server, except for the faults it is given.

    ```python
    with LocalS3Server() as server, FaultProxy(server, ["UploadPart:503:first=2"]) as proxy:
        async with Uploader(proxy.profile(server)) as uploader: ...
        assert proxy.count("UploadPart") == 4
    ```

    Clients sign for the proxy's address; the head of a request passes unchanged, so its signature
    stays valid at a server that checks it against the Host header. Bodies stream with bounded
    memory. Listens on 127.0.0.1, plain HTTP, in a thread of its own: usable from synchronous code
    and from any event loop.

    Args:
        server: a `LocalS3Server`, or the URL of any S3 server.
        faults: `Fault` objects or their text form (`parse_fault`); of those that are due for a
            request, the first happens.
        seed: makes all random choices repeatable. Default 0.
        port: port to listen on; 0 takes a free one. Default 0.
        ca_bundle: PEM file of the authorities to trust for an https URL; "" takes the system's.
        hook: called with the record of each request when its head has arrived, before a fault
            is chosen; in the proxy's thread, which waits for it.
        on_request: called likewise when a request is finished.

    Attributes:
        hook, on_request: as above; may be changed at any time.

    Raises:
        ValueError: the URL or a fault's text is not valid.
        OSError: from `start`: the port is taken.
    """

    def __init__(
        self,
        server: LocalS3Server | str,
        faults: Iterable[Fault | str] = (),
        *,
        seed: int = 0,
        port: int = 0,
        ca_bundle: str = "",
        hook: Listener | None = None,
        on_request: Listener | None = None,
    ) -> None:
        self.hook = hook
        self.on_request = on_request
        url = server if isinstance(server, str) else server.http_url
        self._upstream = Upstream.at(url, ca_bundle)
        self._port = port
        self._url = ""
        self._log = RequestLog()
        self._schedule = Schedule(seed)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.inject(*faults)

    # ----------------------------------------------------------------------------- starting, ending

    def start(self) -> None:
        """Listen; `with` calls this."""
        ready: Future[str] = Future()
        self._ended.clear()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name="fault-proxy", daemon=True
        )
        self._thread.start()
        self._url = ready.result()

    def stop(self) -> None:
        """Break all connections off and end; leaving `with` calls this.

        Raises:
            Exception: raised by a hook; it has ended the proxy at once.
        """
        if self._thread is None:
            return
        self._call(self._stopping.set)
        self.join()

    def join(self) -> None:
        """Block until the proxy has ended; raises as `stop`."""
        if self._thread is not None:
            # Thread.join, once interrupted, believes that the thread has ended.
            self._ended.wait()
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # --------------------------------------------------------------------------------------- faults

    def inject(self, *faults: Fault | str) -> None:
        """Append faults; they count from now on."""
        parsed = [parse_fault(fault) if isinstance(fault, str) else fault for fault in faults]
        with self._lock:
            self._schedule.add(parsed)

    def clear(self) -> None:
        """Remove all faults; their effects on requests in progress continue."""
        with self._lock:
            self._schedule.clear()

    def release(self) -> None:
        """End every stall that there is now."""
        self._call(self._release)

    # ------------------------------------------------------------------------------------ requests

    @property
    def url(self) -> str:
        """The URL it listens at, such as "http://127.0.0.1:40123"; "" before `start`."""
        return self._url

    def profile(self, server: LocalS3Server | Profile) -> Profile:
        """Return the profile of the server behind, with the proxy as its endpoint."""
        profile = server if isinstance(server, Profile) else server.profile()
        return replace(profile, endpoint_url=self.url)

    @property
    def log(self) -> list[Record]:
        """The records of all requests in order of arrival, those in progress included.

        A record has the response's status before the client can see the response.
        """
        return self._log.records()

    @property
    def part_bytes(self) -> Mapping[tuple[str, int], int]:
        """Bytes of all bodies received for each (key, part number)."""
        sums: Counter[tuple[str, int]] = Counter()
        for record in self.log:
            if record.part is not None:
                sums[record.key, record.part] += record.body_bytes
        return sums

    @property
    def body_bytes(self) -> int:
        """Bytes of all bodies received."""
        return sum(record.body_bytes for record in self.log)

    def count(self, operation: str = ANY) -> int:
        """Return how many requests of an operation have arrived; of all for "*"."""
        return self._log.count(operation)

    def wait_for(self, operation: str = ANY, n: int = 1, timeout: float = 10.0) -> None:
        """Block until the heads of `n` requests of an operation have arrived.

        Args:
            operation: S3 operation, or "*". Default "*".
            n: how many since the start. Default 1.
            timeout: seconds. Default 10.

        Raises:
            TimeoutError: they did not arrive.
        """
        self._log.wait_for(operation, n, timeout)

    # ---------------------------------------------------------------------------- in its own thread

    def _run(self, ready: "Future[str]") -> None:
        try:
            asyncio.run(self._main(ready))
        except BaseException as error:  # noqa: BLE001  (raised by stop, or by start)
            if not ready.done():
                ready.set_exception(error)
            else:
                self._failure = error
        finally:
            self._ended.set()

    async def _main(self, ready: "Future[str]") -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._released = asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            client = Connection(reader, writer)
            exchange = Exchange(client, self._upstream, self._arrived, self._when_released)
            task = asyncio.create_task(exchange.serve())
            connections.add(task)
            task.add_done_callback(ended)

        def ended(task: asyncio.Task[None]) -> None:
            connections.discard(task)
            if not task.cancelled() and (error := task.exception()):
                self._fail(error)

        listener = await asyncio.start_server(accept, _HOST, self._port, limit=CHUNK)
        ready.set_result(f"http://{_HOST}:{listener.sockets[0].getsockname()[1]}")
        try:
            await self._stopping.wait()
        finally:
            listener.close()
            for task in connections:
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)
            await listener.wait_closed()

    def _arrived(self, request: Request) -> RequestState:
        record = self._log.arrive(request)
        self._notify(self.hook, record)
        with self._lock:
            scheduled = self._schedule.fault_for(request)
        if scheduled is not None:
            self._log.update(record.sequence, fault=fault_text(scheduled.fault))
        update = functools.partial(self._update, record.sequence)
        return RequestState(request, record.sequence, scheduled, update)

    def _update(self, sequence: int, *, done: bool = False, **changes: Any) -> None:
        record = self._log.update(sequence, **changes)
        if done:
            self._notify(self.on_request, record)

    def _notify(self, listener: Listener | None, record: Record) -> None:
        try:
            if listener is not None:
                listener(record)
        except Exception as error:  # noqa: BLE001  (raised by stop)
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._stopping.set()

    async def _when_released(self) -> None:
        await self._released.wait()

    def _release(self) -> None:
        # Those that wait keep the old event; later stalls wait for the new one.
        self._released.set()
        self._released = asyncio.Event()

    def _call(self, function: Any) -> None:
        # A loop that is closed has nothing left to stop or release.
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function)


class StartFaultProxy(Protocol):
    """The type of the fixture `s3_fault_proxy` of `s3_uploader.testing.pytest_plugin`."""

    def __call__(
        self, server: LocalS3Server | str, *faults: Fault | str, **options: Any
    ) -> FaultProxy:
        """Return a running proxy before `server`; `options` are those of `FaultProxy`."""
        ...
