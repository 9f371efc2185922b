"""Uploads while the interpreter ends: in a thread that outlives the main one, and at exit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Bucket
from s3_uploader.sizes import KIB, MIB
from s3_uploader.testing import LocalS3Server
from trees import make_tree

_PROGRAM = """
import asyncio, atexit, os, sys, threading
import s3_uploader
when, function, path, key, verbose = sys.argv[1:]
call = getattr(s3_uploader, function)

def run():
    result = call(path, key, models_subdir="", verbose=verbose == "verbose")
    os.write(2, f"RESULT {result}".encode())

async def run_in_a_loop():
    run()

def after(work):
    threading.main_thread().join()
    work()

if when == "at exit":
    atexit.register(run)
elif when == "main ends meanwhile":
    threading.Thread(target=run).start()
elif when == "after main":
    threading.Thread(target=after, args=(run,)).start()
else:
    loop = lambda: asyncio.run(run_in_a_loop())
    threading.Thread(target=after, args=(loop,)).start()
"""
_WHEN = ["after main", "in a loop after main", "main ends meanwhile", "at exit"]
_SIZES = {"empty": 0, "1 KiB": KIB, "256 KiB": 256 * KIB, "300 KiB": 300 * KIB, "20 MiB": 20 * MIB}
_REFUSED = sys.version_info[:3] in {(3, 12, 0), (3, 12, 1)}
"""These start no thread once the main thread has ended, not even for another one (gh-113964)."""
_ENDS_SECONDS = 40


def _run(
    server: LocalS3Server, folder: Path, *arguments: str, lane: str = "auto"
) -> tuple[str, str]:
    """Run the program; return what the call returned, and the rest of what was written."""
    environ = os.environ | server.environ() | {"S3_UPLOADER_LANG": "en", "S3_UPLOADER_LANE": lane}
    environ |= {"S3_UPLOADER_PART_SIZE": "5MiB", "S3_UPLOADER_MULTIPART_THRESHOLD": "5MiB"}
    environ |= {"S3_UPLOADER_JOURNAL": str(folder / "journal.db")}
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_ENDS_SECONDS,
        check=True,
    )
    log, _, result = ended.stdout.partition("RESULT ")
    return result, log


def _check_refused(result: str, log: str) -> None:
    assert result in {"False", "{'total': 2, 'success': 0, 'failed': 2}"}
    assert "The Python interpreter is exiting" in log
    assert "Traceback" not in log


def _matrix() -> list[object]:
    """Each moment with one size and each size at one moment every day; the rest is long."""
    return [
        pytest.param(
            when,
            size,
            marks=() if when == "after main" or size == "1 KiB" else pytest.mark.long,
        )
        for when in _WHEN
        for size in _SIZES
    ]


@pytest.mark.parametrize(("when", "size"), _matrix())
def test_file_is_uploaded_while_the_interpreter_ends(
    when: str, size: str, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    content = make_tree(tmp_path, {"f": _SIZES[size]})
    key = f"{prefix}/f"
    result, log = _run(server, tmp_path, when, "upload_file", str(tmp_path / "f"), key, "quiet")
    if _REFUSED:
        _check_refused(result, log)
        return
    assert (result, log) == ("True", "")
    assert bucket.get(key) == content["f"]


@pytest.mark.parametrize("verbose", ["verbose", "quiet"])
@pytest.mark.parametrize("when", ["after main", pytest.param("at exit", marks=pytest.mark.long)])
def test_directory_is_uploaded_and_verified_while_the_interpreter_ends(
    when: str, verbose: str, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    content = make_tree(tmp_path / "t", {"small": 1_000, "large": 6 * MIB})
    root = str(tmp_path / "t")
    result, log = _run(server, tmp_path, when, "upload_directory", root, prefix, verbose)
    if _REFUSED:
        _check_refused(result, log)
        return
    assert result == "{'total': 2, 'success': 2, 'failed': 0}"
    assert bool(log) == (verbose == "verbose")
    assert bucket.tree(prefix) == content
    result, _ = _run(server, tmp_path, when, "verify_directory", root, prefix, verbose)
    assert result.startswith("{'total': 2, 'same': 2,")
    path, key = f"{root}/large", f"{prefix}/large"
    assert _run(server, tmp_path, when, "verify_file", path, key, verbose)[0] == "True"


@pytest.mark.parametrize("when", ["after main", pytest.param("at exit", marks=pytest.mark.long)])
@pytest.mark.parametrize("function", ["upload_file", "upload_directory"])
def test_module_that_can_no_longer_be_loaded_is_a_failure_with_its_reason(
    function: str, when: str, server: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    """The boto lane's libraries import ThreadPoolExecutor, which Python refuses to load by then."""
    make_tree(tmp_path / "t", {"small": 1_000, "large": 6 * MIB})
    path = tmp_path / "t" if function == "upload_directory" else tmp_path / "t/large"
    _check_refused(
        *_run(server, tmp_path, when, function, str(path), prefix, "verbose", lane="boto")
    )
