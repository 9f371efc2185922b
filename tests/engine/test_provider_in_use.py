"""What the engine and the log do because the provider says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from s3_uploader import StoreError, UploadConfig, Uploader
from s3_uploader.consumers import LogConsumer
from s3_uploader.events import CallStarted, Event
from s3_uploader.keys import KeyRules
from s3_uploader.providers import RUNPOD, Provider, Quirks
from s3_uploader.store import CompletedPart, error_from_response
from s3_uploader.store.errors import Request
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import TINY, HookedStore, Moment, fail_with
from trees import make_tree

pytestmark = pytest.mark.anyio

_NOW = UploadConfig(backoff_base=0, outcome_timeout=60)
_PARTS = 5
_SIZE = 4_500


def _gateway_timeout(moment: Moment) -> StoreError:
    request = Request(moment.operation, moment.key, "memory", "memory://")
    return error_from_response(request, 524, "", "given up by the proxy")


def _store(quirks: Quirks) -> HookedStore:
    return HookedStore(MemoryStore(provider=replace(TINY, quirks=quirks)))


@pytest.mark.parametrize("heads", [1, 3, 5])
async def test_object_is_missing_after_as_many_heads_as_its_provider_needs(
    heads: int, tmp_path: Path
) -> None:
    make_tree(tmp_path, {"f": 10})
    store = _store(Quirks(absent_heads=heads))
    async with Uploader(store=store, config=_NOW) as uploader:
        assert (await uploader.verify_file(tmp_path / "f", "k")).result == "missing"
    assert store.count("HeadObject") == heads


@pytest.mark.parametrize("pauses", [(0.001,), (0.001, 0.001, 0.001)])
async def test_object_other_than_sent_is_checked_as_often(
    pauses: tuple[float, ...], tmp_path: Path
) -> None:
    make_tree(tmp_path, {"f": 10})
    store = _store(Quirks(mismatch_pauses=pauses))
    store.hook = fail_with(500, "InternalError", operation="PutObject")
    async with Uploader(store=store, config=replace(_NOW, max_attempts=1)) as uploader:
        assert (await uploader.upload_file(tmp_path / "f", "k")).status == "failed"
    assert store.count("HeadObject") == len(pauses) + 1


@pytest.mark.parametrize(("pauses", "sent"), [((0.0,) * 3, 0), ((0.0,) * 2, _PARTS)])
async def test_interrupted_upload_is_looked_up_as_often_as_head_may_deny_it(
    pauses: tuple[float, ...], sent: int, tmp_path: Path
) -> None:
    """It had published; HEAD denies that three times. Given up before, all is sent again."""
    make_tree(tmp_path, {"f": _SIZE})
    store = _store(Quirks(denial_pauses=pauses))
    denials = 3

    async def deaf(moment: Moment) -> None:
        if moment.operation in {"CompleteMultipartUpload", "HeadObject"} and moment.when == "after":
            raise _gateway_timeout(moment)

    async def denying(moment: Moment) -> None:
        nonlocal denials
        if moment.operation == "HeadObject" and moment.when == "before" and denials > 0:
            denials -= 1
            raise StoreError("store.not_found", status=404)

    config = replace(_NOW, journal=str(tmp_path / "journal.db"), max_attempts=1)
    for hook, timeout, status in ((deaf, 0.0, "unknown"), (denying, 60.0, "committed")):
        store.hook = hook
        store.calls.clear()
        async with Uploader(
            store=store, config=replace(config, outcome_timeout=timeout)
        ) as uploader:
            outcome = await uploader.upload_file(tmp_path / "f", "k")
        assert outcome.status == status
    parts = {call.part for call in store.calls if call.operation == "UploadPart"}
    assert len(parts) == sent


@pytest.mark.parametrize(("seconds", "completes"), [(10.0**8, 1), (0.0, 2)])
async def test_complete_is_repeated_only_after_the_time_that_merging_takes(
    seconds: float, completes: int, tmp_path: Path
) -> None:
    """A proxy gives up on it, and the store ends it behind the proxy."""
    make_tree(tmp_path, {"f": _SIZE})
    store = _store(Quirks(merge_seconds_per_gib=seconds))
    looks = 0

    async def hook(moment: Moment) -> None:
        nonlocal looks
        if moment.when != "before":
            return
        if moment.operation == "CompleteMultipartUpload" and not looks:
            raise _gateway_timeout(moment)
        looks += moment.operation == "HeadObject"
        if looks == 3 and store.memory.uploads:
            [(upload_id, _)] = store.memory.uploads.items()
            held = await store.memory.list_parts("k", upload_id)
            parts = [CompletedPart(part.number, part.etag) for part in held]
            await store.memory.complete_multipart_upload("k", upload_id, parts)

    store.hook = hook
    async with Uploader(store=store, config=_NOW) as uploader:
        assert (await uploader.upload_file(tmp_path / "f", "k")).ok
    assert store.count("CompleteMultipartUpload") == completes


async def test_key_that_the_store_cannot_hold_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    make_tree(tmp_path / "t", {"f": 10, "longer": 10})
    store = HookedStore(MemoryStore(provider=replace(TINY, keys=KeyRules(max_segment_bytes=5))))
    async with Uploader(store=store, config=_NOW) as uploader:
        outcome = await uploader.upload_file(tmp_path / "t" / "f", "a/longer/f")
        assert outcome.error == "key.long_segment"
        assert (await uploader.verify_file(tmp_path / "t" / "f", "longer")).result == "failed"
        report = await uploader.upload_directory(tmp_path / "t", "p")
        assert (report.success, [file.error for file in report.failures]) == (
            1,
            ["key.long_segment"],
        )
        refused = await uploader.upload_directory(tmp_path / "t", "longer")
    assert refused.failed == 2
    assert list(store.memory.objects) == ["p/f"]
    assert {call.operation for call in store.calls} == {"PutObject"}


@pytest.mark.parametrize("provider", [RUNPOD, TINY])
async def test_log_says_where_machines_of_the_provider_see_the_file(
    provider: Provider, tmp_path: Path
) -> None:
    make_tree(tmp_path, {"f": 10})
    lines: list[str] = []
    events: list[Event] = []
    async with Uploader(store=MemoryStore(provider=provider), config=_NOW) as uploader:
        await uploader.upload_file(
            tmp_path / "f", "models/f", consumers=[LogConsumer("zh", lines.append), events.append]
        )
    [started] = [event for event in events if isinstance(event, CallStarted)]
    assert started.provider == provider.name
    assert ("💡 Pod 内路径: /workspace/models/f" in lines) is (provider is RUNPOD)
