"""Without aioboto3: all that the wire lane serves, and one error for what it does not."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from s3_uploader.messages import text
from s3_uploader.sizes import MIB
from s3_uploader.testing import LocalS3Server

_PROGRAM = Path(__file__).parents[1] / "support" / "without_boto.py"


def _run(server: LocalS3Server, *arguments: str, **environ: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), *arguments],
        env=os.environ
        | server.environ()
        | {"RUNPOD_S3_ENDPOINT_URL": server.http_url, "PYTHONPATH": os.pathsep.join(sys.path)}
        | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_calls_of_the_wire_lane_need_no_aioboto3(
    server: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    large = os.urandom(10 * MIB + 99)
    tmp_path.joinpath("small").write_bytes(b"small")
    tmp_path.joinpath("large").write_bytes(large)
    read = [large, large[7 : 7 + 5 * MIB]]
    assert _run(server, "serve", str(tmp_path), prefix) == {
        "small": "committed",
        "resumed": [1, 2],
        "pending": 0,
        "small is s": "same",
        "large is l": "same",
        "large is s": "different",
        "small is none": "missing",
        "read": [hashlib.sha256(data).hexdigest() for data in read],
        "listed": ["c d", "l", "s"],
        "left": [],
        "lane": "wire",
    }


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("proxy", "HTTP_PROXY = http://127.0.0.1:9"),
        ("lane", "lane = boto"),
        ("aws", "aws_profile = models"),
        ("region", "x-amz-bucket-region = eu-1"),
    ],
)
def test_call_that_needs_aioboto3_is_one_error_that_names_both(
    server: LocalS3Server, case: str, why: str
) -> None:
    found = _run(server, "refuse", case)
    message = (
        f"{why}: only aioboto3 can serve this, and it cannot be imported (No module named "
        "'aioboto3'). Run: pip install aioboto3"
    )
    assert message in found["messages"]
    stopped = [text("en", "upload.stopped", {})]
    assert found["messages"] in ([message], sorted([message, *stopped]))
    # After the first, nothing more is asked for.
    assert found["requests"] <= 4


@pytest.mark.parametrize("language", ["en", "zh"])
def test_sync_functions_report_it_once(
    server: LocalS3Server, tmp_path: Path, language: str
) -> None:
    (tmp_path / "f").write_bytes(b"x")
    program = (
        "import sys; sys.modules['aioboto3'] = None\n"
        "from s3_uploader import upload_file\n"
        "assert upload_file(sys.argv[1], 'k') is False\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "f")],
        env=os.environ
        | server.environ()
        | {"S3_UPLOADER_LANE": "boto", "S3_UPLOADER_LANG": language, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("pip install aioboto3") == 1
