"""Descriptors, threads, memory, disk: a process short of them sends less at a time, or says so."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from child_process import ChildUpload
from conftest import Bucket
from s3_uploader.checksums import Digests
from s3_uploader.engine.pacing.limiter import Limiter
from s3_uploader.errors import ResourceError, SourceError
from s3_uploader.shortage import shortage_of
from s3_uploader.sizes import MIB
from s3_uploader.source import SmallFileReader
from s3_uploader.testing import FaultProxy, LocalS3Server
from s3_uploader.threads import Threads
from trees import make_tree

_ENDS_SECONDS = 100
_TREE = {"large": 11 * MIB} | {f"sub{n % 3}/small{n}": 1_000 + n for n in range(60)}
_ALL = {"total": len(_TREE), "success": len(_TREE), "failed": 0}
_NONE = {"total": len(_TREE), "success": 0, "failed": len(_TREE)}


def _limited(
    server: LocalS3Server, folder: Path, prefix: str, limit: str, value: int, lane: str = "auto"
) -> tuple[object, str]:
    """Upload `_TREE` in a process under a limit; return what was returned, and the log."""
    environ = os.environ | server.environ() | {"S3_UPLOADER_LANG": "en", "S3_UPLOADER_LANE": lane}
    environ |= {"S3_UPLOADER_PART_SIZE": "5MiB", "S3_UPLOADER_MULTIPART_THRESHOLD": "5MiB"}
    # A name, not an address: what has to be looked up takes files and a thread.
    endpoint = server.http_url.replace("127.0.0.1", "localhost")
    cap = "5" if limit == "taken meanwhile" else "0.2"
    environ |= {"RUNPOD_S3_ENDPOINT_URL": endpoint, "S3_UPLOADER_BACKOFF_CAP": cap}
    environ |= {"S3_UPLOADER_JOURNAL": str(folder / "journal.db")}
    program = Path(__file__).parent.parent / "support/limited_child.py"
    ended = subprocess.run(
        [sys.executable, program, limit, str(value), folder / "t", prefix],
        env=environ,
        capture_output=True,
        text=True,
        timeout=_ENDS_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout), ended.stderr


@pytest.mark.parametrize("lane", ["auto", "boto"])
@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("RLIMIT_NOFILE", 32),
        pytest.param("RLIMIT_NOFILE", 40, marks=pytest.mark.long),
        pytest.param("RLIMIT_NOFILE", 48, marks=pytest.mark.long),
        ("RLIMIT_NOFILE", 64),
        ("RLIMIT_AS", 400 * MIB),
        pytest.param("RLIMIT_AS", 600 * MIB, marks=pytest.mark.long),
        pytest.param("RLIMIT_AS", 1000 * MIB, marks=pytest.mark.long),
        pytest.param("RLIMIT_AS", 2000 * MIB, marks=pytest.mark.long),
        ("threads", 12),
        pytest.param("threads", 24, marks=pytest.mark.long),
    ],
)
def test_tree_is_uploaded_with_few_resources(
    limit: str,
    value: int,
    lane: str,
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
) -> None:
    content = make_tree(tmp_path / "t", _TREE)
    assert _limited(server, tmp_path, prefix, limit, value, lane) == (_ALL, "")
    assert bucket.tree(prefix) == content


@pytest.mark.parametrize("threads", [2, 4, pytest.param(6, marks=pytest.mark.long)])
def test_too_few_threads_are_at_worst_a_failure_with_its_reason(
    threads: int, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    content = make_tree(tmp_path / "t", _TREE)
    result, log = _limited(server, tmp_path, prefix, "threads", threads)
    failed = _ALL["total"] - len(bucket.tree(prefix))
    assert result == _ALL | {"success": _ALL["total"] - failed, "failed": failed}
    assert bucket.tree(prefix).items() <= content.items()
    assert ("cannot start another thread" in log) or not failed
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("RLIMIT_NOFILE", 16, "its limit is 16 (ulimit -n)"),
        ("RLIMIT_AS", 100 * MIB, "of address space left"),
        ("threads", 0, "cannot start another thread"),
    ],
)
def test_upload_with_too_few_resources_is_refused_at_once_with_one_sentence(
    limit: str, value: int, reason: str, server: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    make_tree(tmp_path / "t", _TREE)
    result, log = _limited(server, tmp_path, prefix, limit, value)
    assert result == _NONE
    assert reason in log
    assert len(log.splitlines()) == 1


def test_lasting_lack_of_a_thread_ends_the_directory(
    server: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    """Not each of its files tries as long as the first."""
    make_tree(tmp_path / "t", _TREE)
    result, log = _limited(server, tmp_path, prefix, "threads", 1)
    assert result == _NONE
    assert "cannot start another thread" in log
    assert "Traceback" not in log


def test_passing_lack_of_descriptors_fails_no_file(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    content = make_tree(tmp_path / "t", _TREE)
    result, log = _limited(server, tmp_path, prefix, "taken meanwhile", 64)
    # The journal may not have been opened by then, and is left out.
    assert result == _ALL, log
    assert bucket.tree(prefix) == content


# ---------------------------------------------------------------------------- in one process


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "process.descriptors"),
        (OSError(errno.ENFILE, "Too many open files in system"), "process.open_files"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "process.memory"),
        (MemoryError(), "process.memory"),
        (RuntimeError("can't start new thread"), "process.threads"),
        (ExceptionGroup("", [MemoryError(), MemoryError()]), "process.memory"),
        (ResourceError("process.threads"), "process.threads"),
    ],
)
def test_shortage_is_recognised_by_its_exception(error: BaseException, code: str) -> None:
    shortage = shortage_of(error)
    assert shortage is not None
    assert shortage.code == code


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOENT, "No such file"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
        RuntimeError("cannot schedule new futures after shutdown"),
        ExceptionGroup("", [MemoryError(), ValueError()]),
        ValueError(),
    ],
)
def test_any_other_failure_is_no_shortage(error: BaseException) -> None:
    assert shortage_of(error) is None


@pytest.mark.anyio
async def test_limit_falls_to_what_the_process_can_have() -> None:
    limiter = Limiter(16, 64)
    tokens = [await limiter.acquire(None) for _ in range(16)]
    for token in tokens[:11]:
        limiter.failed(ResourceError("process.threads", retryable=True))
        limiter.release(token)
    assert limiter.limit == 5
    for token in tokens[11:]:
        limiter.failed(ResourceError("process.threads", retryable=True))
        limiter.release(token)
    assert limiter.limit == 1


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system refuse every thread, in the words of CPython."""

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    for name in ("_start_new_thread", "_start_joinable_thread"):
        if hasattr(threading, name):
            monkeypatch.setattr(threading, name, refuse)


@pytest.mark.anyio
@pytest.mark.usefixtures("no_threads")
async def test_every_waiter_of_a_batch_learns_that_it_could_not_begin(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": 1, "b": 1, "c": 1})
    reader = SmallFileReader()
    heard: list[str] = []

    async def read(name: str) -> None:
        with pytest.raises(ResourceError):
            await reader.read(str(tmp_path / name), 10, Digests(md5=True))
        heard.append(name)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in "abc":
                tasks.start_soon(read, name)
        # And so do those who come later.
        await read("a")
    assert sorted(heard) == ["a", "a", "b", "c"]


@pytest.mark.anyio
async def test_error_of_one_file_is_not_that_of_others_in_its_batch(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": b"a", "b": b"b"})
    reader = SmallFileReader()
    read: dict[str, object] = {}

    async def ask(name: str) -> None:
        try:
            content = await reader.read(str(tmp_path / name), 10, Digests(md5=True))
        except (SourceError, ValueError) as error:
            read[name] = type(error)
        else:
            read[name] = content.data if content else None

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in ("a", "nul\0", "missing", "b"):
                tasks.start_soon(ask, name)
    await reader.close()
    assert read == {"a": b"a", "nul\0": ValueError, "missing": SourceError, "b": b"b"}


@pytest.mark.usefixtures("no_threads")
def test_work_without_a_thread_is_never_done() -> None:
    """ThreadPoolExecutor raises, and does it once it has a thread."""
    done: list[int] = []
    work = Threads(1, "test").submit(done.append, 1)
    assert isinstance(work.exception(timeout=0), ResourceError)
    assert done == []


@pytest.mark.anyio
async def test_threads_are_as_many_as_are_needed_and_end_with_their_owner() -> None:
    threads = Threads(3, "test-threads")
    together = threading.Barrier(3)
    names: set[str] = set()

    def meet() -> None:
        together.wait(10)
        names.add(threading.current_thread().name)

    def fail() -> None:
        raise KeyboardInterrupt

    # Three at once, or nobody would go on; and six of them, so each thread is used again.
    for one in [threads.submit(meet) for _ in range(6)]:
        one.result(timeout=10)
    assert names == {"test-threads_0", "test-threads_1", "test-threads_2"}
    failed = threads.submit(fail)
    assert isinstance(failed.exception(timeout=10), KeyboardInterrupt)
    assert threads.submit(int).result(timeout=10) == 0
    await threads.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("test-threads")]


@pytest.mark.parametrize("kilobytes", [0, 10, 24, 60])
def test_upload_works_on_a_full_disk(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, kilobytes: int
) -> None:
    made = make_tree(tmp_path / "files", {f"f{number:02}": 300_000 for number in range(40)})
    # No file can grow beyond so much: as if the disk were full.
    with FaultProxy(server) as proxy:
        ended = ChildUpload(
            server,
            proxy,
            tmp_path / "files",
            prefix,
            str(tmp_path / "journal.db"),
            {"max_requests": 4},
            {"RLIMIT_FSIZE": kilobytes * 1024},
        ).run()
    assert {outcome["status"] for outcome in ended.files.values()} == {"committed"}
    assert bucket.tree(prefix) == made
    ((code, params),) = ended.warned
    assert code == "journal.unavailable"
    assert params["path"] == str(tmp_path / "journal.db")
    assert "full" in params["reason"] or "I/O" in params["reason"]
