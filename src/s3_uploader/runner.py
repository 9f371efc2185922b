"""Calls of an Uploader from synchronous code, run to their end: event loop, signals, language."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

import anyio
import anyio.from_thread

from s3_uploader import signals
from s3_uploader.allowance import require_least
from s3_uploader.config import UploadConfig
from s3_uploader.engine import Consumer
from s3_uploader.errors import ConfigError, S3UploaderError
from s3_uploader.events import CallFailed, CallKind, Event
from s3_uploader.messages import Language
from s3_uploader.profile import DEFAULT_PROFILE, Profile, load_profile
from s3_uploader.shortage import expected_failure
from s3_uploader.uploader import Uploader

LANG = "S3_UPLOADER_LANG"

T = TypeVar("T")

MakeConsumer = Callable[[Language], Callable[[Event], None]]
"""Makes the consumer of a run for a language; a plain function, for some events precede the loop.

`LogConsumer` and `RecordConsumer` are such."""


def run(
    kind: CallKind,
    action: Callable[[Uploader, Consumer], Awaitable[T]],
    make_consumer: MakeConsumer,
    *,
    profile: str | Profile = DEFAULT_PROFILE,
    settings: Mapping[str, Any] | None = None,
) -> T:
    """Open an Uploader in an event loop of its own, await `action`, and return its result.

    The consumer gets a `CallFailed` of each error that is raised; before any call, its `call` is 0.

    Args:
        kind: what an error before the first call is reported as.
        action: gets the Uploader, and the consumer to give to its calls.
        make_consumer: called once, with the language of the settings or, failing that, of the
            environment.
        profile: name of a profile, or a `Profile`. Default "runpods3".
        settings: fields of `UploadConfig` that beat the environment and the profile's section.

    Raises:
        S3UploaderError: the configuration was refused, or `action` raised it.
        ResourceError, KeyboardInterrupt: as `run_in_loop`.
    """
    consumer, results = _RunConsumer(make_consumer, _language(settings or {})), list[T]()

    async def main(config: UploadConfig) -> None:
        async with Uploader(profile, config=config) as uploader:
            results.append(await action(uploader, consumer))

    try:
        config = _config(profile, settings or {})
        consumer.language = config.lang
        run_in_loop(partial(main, config))
    except Exception as error:
        failure = expected_failure(error)
        if failure is None:
            raise
        if results:
            return results[0]  # What only the end of the loop lacked does not undo what was done.
    else:
        return results[0]
    consumer.report(kind, failure)
    raise failure


def run_in_loop(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` in an event loop of its own, uvloop's if it is installed.

    Where a loop runs in this thread already, as in Jupyter, the other one runs in a thread of its
    own. Otherwise SIGINT and SIGTERM cancel `main`, as `s3_uploader.signals` says.

    Raises:
        ResourceError: this process has too little left for an upload, or no thread for the loop.
        KeyboardInterrupt: SIGINT has cancelled `main`; SIGTERM ends the process.
    """
    require_least()
    options = {"use_uvloop": _has_uvloop()}
    if not _in_a_loop():
        with signals.default_signals() as handled:
            return anyio.run(
                signals.run_cancellable,
                main,
                handled,
                backend="asyncio",
                backend_options=options,
            )
    # Leaving the portal because of Ctrl-C cancels `main`.
    with anyio.from_thread.start_blocking_portal("asyncio", options) as portal:
        return portal.call(main)


class _RunConsumer:
    """The consumer of a run, made for its first event; knows which failure it has passed on."""

    def __init__(self, make: MakeConsumer, language: Language) -> None:
        self.language = language
        self._make = make
        self._consumer: Callable[[Event], None] | None = None
        self._failed: CallFailed | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, CallFailed):
            self._failed = event
        if self._consumer is None:
            self._consumer = self._make(self.language)
        self._consumer(event)

    def report(self, kind: CallKind, error: S3UploaderError) -> None:
        """Pass on `error`, unless it is what a call has failed with."""
        last = self._failed
        if last is None or (last.code, last.params) != (error.code, error.params):
            now = time.monotonic()
            self(CallFailed(call=0, at=now, kind=kind, code=error.code, params=error.params))


def _config(profile: str | Profile, settings: Mapping[str, Any]) -> UploadConfig:
    loaded = load_profile(profile) if isinstance(profile, str) else profile
    return replace(UploadConfig.load(loaded), **settings)


def _language(settings: Mapping[str, Any]) -> Language:
    """Return the language for a message about the configuration itself."""
    try:
        return UploadConfig.load(
            environ={LANG: str(settings.get("lang") or os.environ.get(LANG, ""))}
        ).lang
    except ConfigError:
        return "zh"


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _has_uvloop() -> bool:
    try:
        import_module("uvloop")
    except (ImportError, RuntimeError):
        # RuntimeError: it brings ThreadPoolExecutor, too late once the main thread has ended.
        return False
    return True
