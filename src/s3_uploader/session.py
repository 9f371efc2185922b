"""What an open Uploader holds, and one upload performed with it."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Literal

import anyio

from s3_uploader.allowance import requests_allowed
from s3_uploader.config import UploadConfig
from s3_uploader.engine import Call
from s3_uploader.engine.call import StoreState
from s3_uploader.engine.delivery.channel import Channel
from s3_uploader.engine.journal import Journal
from s3_uploader.engine.pacing.limiter import Limiter
from s3_uploader.errors import Param, S3UploaderError
from s3_uploader.events import CallFailed, CallFinished, CallStarted, Warned
from s3_uploader.plan import StoreLimits
from s3_uploader.profile import Profile
from s3_uploader.shortage import shortage_of
from s3_uploader.source import SmallFileReader
from s3_uploader.store import ObjectStore
from s3_uploader.store.open import open_store


def _affordable(config: UploadConfig, limits: StoreLimits) -> UploadConfig:
    """Return the settings with no more requests in flight than the process can afford."""
    allowed = requests_allowed()
    if allowed >= (config.max_requests or limits.max_requests):
        return config
    return replace(config, max_requests=allowed)


def _journal(config: UploadConfig) -> Journal | None:
    return None if config.journal == "off" else Journal(config.journal)


Kind = Literal["file", "directory", "other"]
"""What an upload is of; "other" tells neither its beginning nor its end."""


async def _ready(store: ObjectStore) -> ObjectStore:
    return store


class Session:
    """What all calls of an open Uploader share."""

    def __init__(
        self,
        config: UploadConfig,
        limits: StoreLimits,
        open_store: Callable[[AsyncExitStack], Awaitable[ObjectStore]],
        warnings: Sequence[tuple[str, Mapping[str, Param]]],
        *,
        runpod: bool,
        journal: Journal | None,
    ) -> None:
        self.config = config
        self.limiter = Limiter(limits.requests, config.max_requests or limits.max_requests)
        self.store_state = StoreState()
        self.journal = journal
        self.reader = SmallFileReader()
        self.stack = AsyncExitStack()
        if journal is not None:
            self.stack.push_async_callback(journal.close)
        self.warnings = warnings
        self.runpod = runpod
        self._open_store = open_store
        self._opening = anyio.Lock()
        self._store: ObjectStore | None = None

    @classmethod
    def of_store(cls, store: ObjectStore, config: UploadConfig | None) -> "Session":
        """Use a store that is open already; with a journal only if the settings name one."""
        config = _affordable(config or UploadConfig.load(), store.limits)
        return cls(
            config,
            store.limits,
            lambda _stack: _ready(store),
            (),
            runpod=False,
            journal=_journal(config) if config.journal else None,
        )

    @classmethod
    def of_profile(
        cls, profile: Profile, config: UploadConfig | None, reload: Callable[[], Profile] | None
    ) -> "Session":
        """Open the profile's store when it is first needed.

        `reload` gives the profile anew once its credentials have expired.

        Raises:
            ConfigError: a setting is not allowed.
        """
        config = config or UploadConfig.load(profile)
        limits = config.limits(profile.endpoint_url)
        config = _affordable(config, limits)
        return cls(
            config,
            limits,
            lambda stack: stack.enter_async_context(open_store(profile, config, reload=reload)),
            profile.warnings,
            runpod=profile.is_runpod,
            journal=_journal(config),
        )

    async def store(self) -> ObjectStore:
        """Return the store, opened at the first need."""
        async with self._opening:
            if self._store is None:
                self._store = await self._open_store(self.stack)
                # An AWS profile's endpoint is known only now.
                self.config = self.config.decided(self._store.limits)
                self.stack.push_async_callback(self.reader.close)
        return self._store


class Task:
    """What a call was asked to do."""

    def __init__(
        self,
        number: int,
        kind: Kind,
        source: str,
        target: str,
        work: Callable[[Call], Awaitable[None]],
    ) -> None:
        self.number = number
        self.kind = kind
        self.source = source
        self.target = target
        self.work = work

    async def perform(self, session: Session, events: Channel) -> None:
        """Do the work and tell its beginning and end."""
        began = time.monotonic()
        try:
            for code, params in session.warnings:
                now = time.monotonic()
                await events.emit(Warned(call=self.number, at=now, code=code, params=params))
            store = await session.store()
            if self.kind != "other":
                await events.emit(self._started(store, self.kind, runpod=session.runpod))
            await self.work(self._call(session, store, events))
        except Exception as error:
            expected = error if isinstance(error, S3UploaderError) else shortage_of(error)
            if expected is None:
                raise
            now = time.monotonic()
            await events.emit(
                CallFailed(call=self.number, at=now, code=expected.code, params=expected.params)
            )
        if self.kind == "other":
            return
        now = time.monotonic()
        await events.emit(CallFinished(call=self.number, at=now, seconds=now - began))

    def _started(
        self, store: ObjectStore, kind: Literal["file", "directory"], *, runpod: bool
    ) -> CallStarted:
        return CallStarted(
            call=self.number,
            at=time.monotonic(),
            kind=kind,
            source=self.source,
            target=self.target,
            endpoint=store.endpoint,
            region=store.region,
            bucket=store.bucket,
            runpod=runpod,
        )

    def _call(self, session: Session, store: ObjectStore, events: Channel) -> Call:
        return Call(
            number=self.number,
            store=store,
            config=session.config,
            limiter=session.limiter,
            reader=session.reader,
            events=events,
            store_state=session.store_state,
            journal=session.journal,
        )
