"""Signals and cancellation: uploads are aborted or kept, also when the store is silent."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from cancel_at_step import cancel_task
from conftest import Bucket
from lanes import REAL_LANES, lane_profile, open_lane
from s3_uploader import UploadConfig, Uploader, signals, upload_file
from s3_uploader.sizes import MIB
from s3_uploader.testing import FaultProxy, LocalS3Server, Record
from s3_uploader.testing.hooked import HookedStore
from trees import make_tree

_PROGRAM = """
import sys
from s3_uploader import upload_file
upload_file(sys.argv[1], sys.argv[2], models_subdir="", verbose=False)
print("returned")
"""
_ENDS_SECONDS = 20
"""Much more than the five seconds promised: a busy machine may take its time."""


def _start(
    proxy: FaultProxy, server: LocalS3Server, path: Path, key: str, **settings: str
) -> subprocess.Popen[str]:
    environ = os.environ | server.environ() | {"RUNPOD_S3_ENDPOINT_URL": proxy.url}
    environ |= {"S3_UPLOADER_PART_SIZE": "5MiB", "S3_UPLOADER_MULTIPART_THRESHOLD": "5MiB"}
    environ |= {f"S3_UPLOADER_{name.upper()}": value for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(path), key],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=_ENDS_SECONDS)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_an_upload_that_hangs_at_the_store(
    number: signal.Signals, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    make_tree(tmp_path, {"f": 11 * MIB})
    path = tmp_path / "f"
    with FaultProxy(server, ["UploadPart:stall:part=2:after=100000"]) as proxy:
        process = _start(proxy, server, path, f"{prefix}/f", journal="off")
        proxy.wait_for("UploadPart", 2, timeout=_ENDS_SECONDS)
        code, out, err = _end(process, number)
    assert (code, out) == (-number, "")
    assert ("KeyboardInterrupt" in err) == (number == signal.SIGINT)
    assert bucket.open_uploads(prefix) == []
    assert bucket.tree(prefix) == {}


def test_second_signal_ends_the_process_at_once(
    server: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    """The first one waits for the abort, to which the store never responds; the second does not."""
    make_tree(tmp_path, {"f": 11 * MIB})
    path = tmp_path / "f"
    faults = ["UploadPart:stall:part=2:after=100000", "AbortMultipartUpload:stall:side=response"]
    with FaultProxy(server, faults) as proxy:
        process = _start(proxy, server, path, f"{prefix}/f", journal="off")
        proxy.wait_for("UploadPart", 2, timeout=_ENDS_SECONDS)
        process.send_signal(signal.SIGINT)
        proxy.wait_for("AbortMultipartUpload", 1, timeout=_ENDS_SECONDS)
        code, _, err = _end(process, signal.SIGINT)
    assert code == -signal.SIGINT
    # Killed by the signal itself: no traceback is written on the way.
    assert err == ""


def test_kept_upload_is_resumed_after_the_signal(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    make_tree(tmp_path, {"f": 22 * MIB})
    path = tmp_path / "f"
    settings = {"journal": str(tmp_path / "journal.db"), "on_cancel": "keep"}
    arrived = threading.Semaphore(0)

    def note(record: Record) -> None:
        if record.operation == "UploadPart" and record.status == 200:
            arrived.release()

    faults = ["UploadPart:stall:part=4:times=1"]
    with FaultProxy(server, faults, on_request=note) as proxy:
        process = _start(proxy, server, path, f"{prefix}/f", **settings)
        for _ in range(4):
            assert arrived.acquire(timeout=_ENDS_SECONDS)
        code, _, _ = _end(process, signal.SIGTERM)
        assert code == -signal.SIGTERM
        assert len(bucket.open_uploads(prefix)) == 1
        before = proxy.count("UploadPart")
        again = _start(proxy, server, path, f"{prefix}/f", **settings)
        assert again.communicate(timeout=_ENDS_SECONDS) == ("returned\n", "")
        assert proxy.count("UploadPart") - before == 1
        assert proxy.count("CreateMultipartUpload") == 1
    assert bucket.get(f"{prefix}/f") == path.read_bytes()
    assert bucket.open_uploads(prefix) == []


def test_signal_too_late_to_cancel_is_not_lost() -> None:
    async def main() -> bool:
        with anyio.CancelScope(shield=True):
            signal.raise_signal(signal.SIGINT)
            # The handler has run; what it asks of the loop comes before this task again.
            await anyio.lowlevel.checkpoint()
        return True

    with pytest.raises(KeyboardInterrupt):
        anyio.run(signals.run_cancellable, main, frozenset({signal.SIGINT}))


def test_handlers_are_left_as_they_were(configured: LocalS3Server, tmp_path: Path) -> None:
    del configured
    make_tree(tmp_path, {"f": 10})
    path = tmp_path / "f"

    def own(_number: int, _frame: object) -> None:
        raise AssertionError

    before = signal.signal(signal.SIGTERM, own)
    try:
        assert upload_file(path, verbose=False)
        assert signal.getsignal(signal.SIGTERM) is own
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_wake_up_descriptor_is_left_as_it_was(
    loop: str, configured: LocalS3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del configured
    if loop == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    make_tree(tmp_path, {"f": 10})
    read, write = socket.socketpair()
    with read, write:
        write.settimeout(0)
        before = signal.set_wakeup_fd(write.fileno())
        try:
            assert upload_file(tmp_path / "f", verbose=False)
        finally:
            after = signal.set_wakeup_fd(before)
        assert after == write.fileno()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "instants", [pytest.param(6, id="quick"), pytest.param(200, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("on_cancel", ["keep", "abort"])
@pytest.mark.parametrize("lane", ["wire", "boto"])
async def test_cancellation_at_random_instants_leaves_only_kept_uploads(
    instants: int,
    on_cancel: str,
    lane: str,
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
) -> None:
    make_tree(tmp_path, {"t/f": 11 * MIB, "t/g": 6 * MIB, "t/h": 300_000, "t/i": 10})
    rng = random.Random(f"{on_cancel} {lane} {instants}")  # noqa: S311
    config = UploadConfig.load(
        environ={
            "S3_UPLOADER_PART_SIZE": "5MiB",
            "S3_UPLOADER_MULTIPART_THRESHOLD": "5MiB",
            "S3_UPLOADER_JOURNAL": str(tmp_path / "journal.db"),
            "S3_UPLOADER_ON_CANCEL": on_cancel,
            "S3_UPLOADER_LANE": "auto" if lane == "wire" else "boto",
        }
    )
    stopped = 0
    async with Uploader(lane_profile(f"{lane}-http", server), config=config) as uploader:
        tasks = len(asyncio.all_tasks())
        for number in range(instants):
            task = asyncio.create_task(
                uploader.upload_directory(tmp_path / "t", f"{prefix}/{number}")
            )
            await anyio.sleep(rng.uniform(0, 0.2))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError), anyio.fail_after(_ENDS_SECONDS):
                await task
            stopped += task.cancelled()
            assert len(asyncio.all_tasks()) == tasks
            kept = {upload.key for upload in await uploader.pending_uploads(prefix)}
            left = set(bucket.open_uploads(f"{prefix}/{number}"))
            assert left <= kept
            assert on_cancel == "keep" or not left
            report = await uploader.upload_directory(tmp_path / "t", f"{prefix}/{number}")
            assert report.ok
            assert bucket.open_uploads(f"{prefix}/{number}") == []
    assert stopped > instants // 4
    assert [one.name for one in threading.enumerate() if one.name.startswith("s3-uploader")] == []


@pytest.mark.anyio
@pytest.mark.parametrize(
    "every", [pytest.param(7, id="quick"), pytest.param(1, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("lane", REAL_LANES)
async def test_cancellation_at_any_instant_leaves_nothing_open_at_a_real_store(
    lane: str, every: int, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    make_tree(tmp_path, {"f": 6 * MIB, "g": 300_000})
    config = UploadConfig(
        part_size=5 * MIB, multipart_threshold=5 * MIB, ca_bundle=server.ca_bundle
    )

    async def work(uploader: Uploader) -> object:
        return await uploader.upload_directory(tmp_path, prefix)

    async with open_lane(lane, server, config=config) as inner:
        # Reach the store once, so that the instants are those of a warm client.
        steps, _ = await cancel_task(HookedStore(inner), work, -1)
        assert steps > 20
        for target in range(1, steps + 1, every):
            await cancel_task(HookedStore(inner), work, target)
            assert bucket.open_uploads(prefix) == [], f"left open at step {target}"
