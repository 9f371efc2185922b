"""Runs from synchronous code: results, errors, what the consumer gets, and where they work."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3_uploader import (
    ConfigError,
    InvalidKeyError,
    SourceError,
    StoreError,
    UploadConfig,
    Uploader,
)
from s3_uploader.engine import Consumer
from s3_uploader.events import CallFailed, CallFinished, CallStarted, Event
from s3_uploader.messages import Language
from s3_uploader.profile import Profile
from s3_uploader.runner import run, run_in_loop
from s3_uploader.testing import LocalS3Server
from trees import make_tree

_LIMIT_SECONDS = 30

Action = Callable[[Uploader, Consumer], Awaitable[Any]]


class Made:
    """Consumers made for a run: their languages, and all events they got."""

    def __init__(self) -> None:
        self.languages: list[Language] = []
        self.events: list[Event] = []

    def __call__(self, language: Language) -> Callable[[Event], None]:
        self.languages.append(language)
        return self.events.append

    @property
    def failures(self) -> list[tuple[int, str, str]]:
        return [
            (event.call, event.kind, event.code)
            for event in self.events
            if isinstance(event, CallFailed)
        ]


@pytest.fixture
def made() -> Made:
    return Made()


async def nothing(_uploader: Uploader, _consumer: Consumer) -> None:
    raise AssertionError("the configuration is refused before")


def verifying(path: Path) -> Action:
    async def verify(uploader: Uploader, consumer: Consumer) -> int:
        return (await uploader.verify_directory(path, "p", consumers=[consumer])).total

    return verify


def plainly(work: Callable[[], int]) -> int:
    return work()


def in_a_loop(work: Callable[[], int]) -> int:
    async def main() -> int:
        return work()

    return asyncio.run(main())


def in_a_thread(work: Callable[[], int]) -> int:
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join(_LIMIT_SECONDS)
    return results[0]


@pytest.mark.parametrize("where", [plainly, in_a_loop, in_a_thread])
def test_result_is_returned_wherever_it_runs(
    where: Callable[[Callable[[], int]], int],
    configured: LocalS3Server,
    tmp_path: Path,
    made: Made,
) -> None:
    del configured
    make_tree(tmp_path / "t", {"a": 1, "b": 1})
    action = verifying(tmp_path / "t")
    assert where(lambda: run("verify_directory", action, made)) == 2
    assert isinstance(made.events[0], CallStarted)
    assert isinstance(made.events[-1], CallFinished)
    assert made.failures == []


def test_profile_object_is_used(server: LocalS3Server, tmp_path: Path, made: Made) -> None:
    make_tree(tmp_path / "t", {"a": 1})
    settings = {"ca_bundle": server.ca_bundle, "journal": "off"}
    action = verifying(tmp_path / "t")
    profile = server.profile()
    assert run("verify_directory", action, made, profile=profile, settings=settings) == 1


@pytest.mark.parametrize(
    ("environ", "settings", "language"),
    [("", {}, "zh"), ("en", {}, "en"), ("zh", {"lang": "en"}, "en"), ("xx", {}, "zh")],
)
def test_refused_configuration_is_reported_once_and_raised(
    environ: str,
    settings: dict[str, str],
    language: Language,
    made: Made,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("S3_UPLOADER_LANG", environ)
    with pytest.raises(ConfigError) as caught:
        run("list_uploads", nothing, made, profile="none", settings=settings)
    assert made.failures == [(0, "list_uploads", caught.value.code)]
    assert made.languages == [language]


def test_settings_beat_the_environment(
    configured: LocalS3Server, tmp_path: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    del configured
    tmp_path.joinpath("t").mkdir()
    monkeypatch.setenv("S3_UPLOADER_LANG", "zh")
    action = verifying(tmp_path / "t")
    assert run("verify_directory", action, made, settings={"lang": "en"}) == 0
    assert made.languages == ["en"]


def test_language_is_that_of_the_profile(server: LocalS3Server, tmp_path: Path, made: Made) -> None:
    profile = replace(server.profile(), settings={"lang": "en"})
    settings = {"ca_bundle": server.ca_bundle, "journal": "off"}
    run("verify_directory", verifying(tmp_path), made, profile=profile, settings=settings)
    assert made.languages == ["en"]


def test_invalid_setting_is_refused(configured: LocalS3Server, made: Made) -> None:
    del configured
    with pytest.raises(ConfigError, match="max_attempts"):
        run("upload_file", nothing, made, settings={"max_attempts": 0})
    assert made.failures == [(0, "upload_file", "config.bad_value")]


def test_error_reported_by_a_call_is_not_reported_again(
    configured: LocalS3Server, tmp_path: Path, made: Made
) -> None:
    del configured
    with pytest.raises(SourceError) as caught:
        run("verify_directory", verifying(tmp_path / "none"), made)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert made.failures == [(1, "verify_directory", "source.missing")]


def test_error_raised_outside_of_calls_is_reported(
    configured: LocalS3Server, tmp_path: Path, made: Made
) -> None:
    del configured

    async def verify(uploader: Uploader, consumer: Consumer) -> None:
        with pytest.raises(SourceError):
            await uploader.verify_directory(tmp_path / "none", consumers=[consumer])
        raise InvalidKeyError("key.empty")

    with pytest.raises(InvalidKeyError):
        run("verify_directory", verify, made)
    assert [code for _, _, code in made.failures] == ["source.missing", "key.empty"]


def test_bug_is_raised_and_not_reported(configured: LocalS3Server, made: Made) -> None:
    del configured

    async def fail(_uploader: Uploader, _consumer: Consumer) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run("verify_file", fail, made)
    assert made.events == []


def test_error_of_opening_the_store_is_raised_unchanged(tmp_path: Path, made: Made) -> None:
    profile = Profile(
        name="p",
        endpoint_url="http://127.0.0.1:9/",
        region="r",
        bucket="a/b",
        access_key="a",
        secret_key="s",
    )
    with pytest.raises(StoreError) as caught:
        run(
            "verify_directory",
            verifying(tmp_path),
            made,
            profile=profile,
            settings={"journal": "off"},
        )
    assert type(caught.value) is StoreError
    assert made.failures == [(1, "verify_directory", "store.bad_bucket")]


def test_action_without_an_uploader_runs_in_a_loop_too() -> None:
    async def main() -> str:
        await asyncio.sleep(0)
        return UploadConfig.load().lang

    assert run_in_loop(main) == "zh"


def test_ctrl_c_ends_a_run_with_a_custom_consumer(
    configured: LocalS3Server, tmp_path: Path
) -> None:
    program = textwrap.dedent("""
        import asyncio
        from s3_uploader.runner import run

        async def wait(uploader, consumer):
            print("running", flush=True)
            await asyncio.sleep(600)

        run("list_uploads", wait, lambda language: print)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | configured.environ() | {"HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=_LIMIT_SECONDS)
    assert (process.returncode, out) == (-signal.SIGINT, "")
    assert err.rstrip().endswith("KeyboardInterrupt")
