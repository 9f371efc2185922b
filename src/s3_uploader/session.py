"""What the calls of an open Uploader share, from its opening to its close."""

import itertools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import anyio

from s3_uploader import to_thread
from s3_uploader.allowance import requests_allowed
from s3_uploader.config import UploadConfig
from s3_uploader.engine import Call
from s3_uploader.engine.call import StoreState
from s3_uploader.engine.delivery.channel import Channel
from s3_uploader.engine.journal import Journal
from s3_uploader.engine.pacing.limiter import Limiter
from s3_uploader.errors import Param, UploadFailedError
from s3_uploader.profile import Profile, load_profile
from s3_uploader.providers import Tuning
from s3_uploader.source import SmallFileReader
from s3_uploader.store import ObjectStore
from s3_uploader.store.open import open_store


def _affordable(config: UploadConfig, tuning: Tuning) -> UploadConfig:
    """Return the settings with no more requests in flight than the process can afford."""
    allowed = requests_allowed()
    if allowed >= (config.max_requests or tuning.max_requests):
        return config
    return replace(config, max_requests=allowed)


def _journal(config: UploadConfig) -> Journal | None:
    return None if config.journal == "off" else Journal(config.journal)


class Location(NamedTuple):
    """Where a store is, and the name of its provider."""

    endpoint: str
    region: str
    bucket: str
    provider: str


def _location(store: ObjectStore) -> Location:
    return Location(store.endpoint, store.region, store.bucket, store.provider.name)


async def _ready(store: ObjectStore) -> ObjectStore:
    return store


class Session:
    """What all calls of an open Uploader share.

    Attributes:
        numbers: numbers the calls.
        location: where the store is: what the profile says, until the store is open.
        warnings: messages (code, params) about the profile that each call reports.
    """

    def __init__(
        self,
        config: UploadConfig,
        tuning: Tuning,
        open_store: Callable[[AsyncExitStack], Awaitable[ObjectStore]],
        location: Location,
        warnings: Sequence[tuple[str, Mapping[str, Param]]],
        *,
        journal: Journal | None,
    ) -> None:
        self.numbers = itertools.count(1)
        self.config = config
        self.limiter = Limiter(tuning.requests, config.max_requests or tuning.max_requests)
        self.store_state = StoreState()
        self.journal = journal
        self.reader = SmallFileReader()
        self.location = location
        self.warnings = warnings
        self._stack = AsyncExitStack()
        if journal is not None:
            self._stack.push_async_callback(journal.close)
        self._running: dict[anyio.Event, anyio.CancelScope] = {}
        self._open_store = open_store
        self._opening = anyio.Lock()
        self._store: ObjectStore | None = None

    @classmethod
    async def open(
        cls, profile: str | Profile, config: UploadConfig | None, store: ObjectStore | None
    ) -> "Session":
        """Return a session with `store` if there is one, else with the profile's.

        The profile's store is opened when it is first needed. A profile given by name is read again
        once its credentials have expired.

        Raises:
            ConfigError: the profile or a setting is missing or not allowed.
        """
        if store is not None:
            return cls._of_store(store, config)
        if isinstance(profile, Profile):
            return cls._of_profile(profile, config, None)
        reload = partial(load_profile, profile)
        return cls._of_profile(await to_thread.run_sync(reload), config, reload)

    @classmethod
    def _of_store(cls, store: ObjectStore, config: UploadConfig | None) -> "Session":
        config = _affordable(config or UploadConfig.load(), store.provider.tuning)
        return cls(
            config,
            store.provider.tuning,
            lambda _stack: _ready(store),
            _location(store),
            (),
            # Only if the settings name one.
            journal=_journal(config) if config.journal else None,
        )

    @classmethod
    def _of_profile(
        cls, profile: Profile, config: UploadConfig | None, reload: Callable[[], Profile] | None
    ) -> "Session":
        config = config or UploadConfig.load(profile)
        provider = config.provider_at(profile.endpoint_url)
        config = _affordable(config, provider.tuning)
        return cls(
            config,
            provider.tuning,
            lambda stack: stack.enter_async_context(open_store(profile, config, reload=reload)),
            Location(profile.endpoint_url, profile.region, profile.bucket, provider.name),
            profile.warnings,
            journal=_journal(config),
        )

    async def store(self) -> ObjectStore:
        """Return the store, opened at the first need.

        Raises:
            ConfigError: a setting is outside what the store allows, or names what is not usable.
            StoreError: there are no usable credentials, or the bucket's name cannot be one.
        """
        async with self._opening:
            if self._store is None:
                store = self._store = await self._open_store(self._stack)
                # An AWS profile's endpoint is known only now.
                self.location = _location(store)
                self.config = self.config.decided(store.provider)
                self._stack.push_async_callback(self.reader.close)
        return self._store

    def call(self, number: int, store: ObjectStore, events: Channel) -> Call:
        """Return what the engine gets for call `number`, whose events go into `events`."""
        return Call(
            number=number,
            store=store,
            config=self.config,
            limiter=self.limiter,
            reader=self.reader,
            events=events,
            store_state=self.store_state,
            journal=self.journal,
        )

    async def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Await `work()`, which `close` cancels.

        Raises:
            UploadFailedError: the session was closed meanwhile.
        """
        # The work runs in a child task: a cancellation of the caller's task then arrives as the
        # scope's, which the shields around create and abort hold off; asyncio's own they cannot.
        ended = anyio.Event()
        try:
            async with anyio.create_task_group() as tasks:
                self._running[ended] = tasks.cancel_scope
                tasks.start_soon(work)
        finally:
            del self._running[ended]
            ended.set()
        if tasks.cancel_scope.cancelled_caught:
            raise UploadFailedError("upload.closed_early")

    async def close(self) -> None:
        """Cancel the calls in progress, wait for their end, and close what they shared."""
        running = dict(self._running)
        for scope in running.values():
            scope.cancel()

        async def close_shared() -> None:
            with anyio.CancelScope(shield=True):
                for ended in running:
                    await ended.wait()
                await self._stack.aclose()

        # A child task, as in `run`: no shield holds off a cancellation of asyncio's own.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close_shared)
