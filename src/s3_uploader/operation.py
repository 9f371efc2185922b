"""One operation of an Uploader: performed from its first event to its last."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from s3_uploader.engine import Call, Consumer, dispatching
from s3_uploader.engine.delivery.channel import Channel
from s3_uploader.errors import S3UploaderError
from s3_uploader.events import CallFailed, CallFinished, CallKind, CallStarted, Event, Warned
from s3_uploader.session import Session
from s3_uploader.shortage import expected_failure

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """What a call is asked to do.

    Attributes:
        kind, source, target: what `CallStarted` says of it.
        work: does it, and returns its result.
    """

    kind: CallKind
    source: str
    target: str
    work: Callable[[Call], Awaitable[T]]

    async def perform(self, session: Session, consumers: Sequence[Consumer]) -> T:
        """Do the work as the next call of the session, and return its result.

        `consumers` get every event of the call.

        Raises:
            S3UploaderError: what ended the call, as it was raised; `CallFailed` has reported it.
            UploadFailedError: the session was closed meanwhile.
        """
        results: list[T] = []
        failures: list[S3UploaderError] = []

        async def dispatched() -> None:
            async with dispatching(consumers) as events:
                reporter = _Reporter(next(session.numbers), events)
                try:
                    results.append(await self._reported(session, reporter))
                except S3UploaderError as error:
                    # Raised below: the task groups on the way would wrap it.
                    failures.append(error)

        await session.run(dispatched)
        if failures:
            raise failures[0]
        return results[0]

    async def _reported(self, session: Session, reporter: "_Reporter") -> T:
        """Do the work between the first and the last event of the call."""
        began = time.monotonic()
        try:
            result = await self.work(await self._started(session, reporter))
        except Exception as error:
            failure = expected_failure(error)
            if failure is None:
                raise
        else:
            await reporter.emit(CallFinished, seconds=time.monotonic() - began)
            return result
        await reporter.emit(CallFailed, kind=self.kind, code=failure.code, params=failure.params)
        await reporter.emit(CallFinished, seconds=time.monotonic() - began)
        raise failure

    async def _started(self, session: Session, reporter: "_Reporter") -> Call:
        """Open the store and report the start of the call, also where the store cannot be opened.

        Only the opening finds out the endpoint of an AWS profile.
        """
        try:
            store = await session.store()
        finally:
            await reporter.emit(
                CallStarted,
                kind=self.kind,
                source=self.source,
                target=self.target,
                endpoint=session.location.endpoint,
                region=session.location.region,
                bucket=session.location.bucket,
                provider=session.location.provider,
            )
            for code, params in session.warnings:
                await reporter.emit(Warned, code=code, params=params)
        return session.call(reporter.call, store, reporter.events)


@dataclass(frozen=True, slots=True)
class _Reporter:
    """Emits the events of a call by its number: its store may not be open yet."""

    call: int
    events: Channel

    async def emit(self, event: Callable[..., Event], **fields: object) -> None:
        await self.events.emit(event(call=self.call, at=time.monotonic(), **fields))
