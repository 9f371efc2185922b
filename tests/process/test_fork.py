"""Processes forked during an upload: their signals do not reach it, and it continues."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Bucket
from s3_uploader.sizes import MIB
from s3_uploader.testing import FaultProxy, LocalS3Server
from trees import make_tree

_WAIT_SECONDS = 60


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("host", ["main", "thread", "loop", "service"])
def test_forked_child_and_upload_do_not_disturb_each_other(
    host: str, loop: str, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    """Terminated, interrupted, of a pool, terminated as it begins, ending by itself."""
    content = make_tree(tmp_path, {"f": 11 * MIB})
    key = f"{prefix}/f"
    program = Path(__file__).parent.parent / "support/forking_child.py"
    with FaultProxy(server, ["UploadPart:stall:part=2:after=100000:times=1"]) as proxy:
        environ = os.environ | server.environ() | {"RUNPOD_S3_ENDPOINT_URL": proxy.url}
        environ |= {"S3_UPLOADER_PART_SIZE": "5MiB", "S3_UPLOADER_MULTIPART_THRESHOLD": "5MiB"}
        environ |= {"S3_UPLOADER_JOURNAL": str(tmp_path / "journal.db")}
        process = subprocess.Popen(
            # From 3.12 on Python warns of any fork beside threads.
            [sys.executable, "-W", "ignore", program, host, loop, tmp_path / "f", key],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        proxy.wait_for("UploadPart", 2, timeout=_WAIT_SECONDS)
        process.stdin.write("fork\n")
        process.stdin.flush()
        report = json.loads(process.stdout.readline() or "{}")
        proxy.release()
        out, err = process.communicate(timeout=_WAIT_SECONDS)
    assert (process.returncode, out, err) == (0, '{"uploaded": true}\n', "")
    during = report["during"]
    assert during.pop("signals") == report["before"]
    assert during.pop("exit", 7) == 7
    # By KeyboardInterrupt.
    assert during.pop("SIGINT", 42) == 42
    assert during == {
        "SIGTERM": -signal.SIGTERM,
        "terminated at once": [str(-signal.SIGTERM)],
        "of a library": "ended",
        "pool": "ended",
        "subprocess": -signal.SIGTERM,
    }
    assert bucket.get(key) == content["f"]
    assert proxy.count("CreateMultipartUpload") == 1
