"""Each mistake gets one clear message, the documented return value, and leaves nothing open."""

import logging
import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from conftest import Bucket
from lanes import open_lane
from s3_uploader import UploadConfig, Uploader, upload_directory, upload_file
from s3_uploader.sizes import MIB
from s3_uploader.testing import LocalS3Server
from s3_uploader.testing.hooked import HookedStore, Moment
from trees import make_tree

_NONE = {"total": 1, "success": 0, "failed": 1}


class Shown:
    """What a verbose and a quiet call of the documented functions show."""

    def __init__(self, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
        self._capfd = capfd
        self._caplog = caplog

    def failure(self, call: Callable[[bool], object], expected: object) -> str:
        """Run the call both ways; return the one message, which is the same in both."""
        assert call(True) == expected  # noqa: FBT003
        out, err = self._capfd.readouterr()
        assert err == ""
        assert "5ecret" not in out
        failures = [line for line in out.splitlines() if "❌" in line]
        assert len(failures) == 1, out
        self._caplog.clear()
        assert call(False) == expected  # noqa: FBT003
        out, err = self._capfd.readouterr()
        assert out == ""
        assert "Traceback" not in err
        records = [record for record in self._caplog.records if record.name == "s3_uploader"]
        errors = [record for record in records if record.levelno == logging.ERROR]
        assert len(errors) == 1
        assert errors[0].exc_info is None
        assert "5ecret" not in f"{failures}{out}{err}{self._caplog.text}"
        reason = failures[0].split(": ", 1)[1]
        assert reason in errors[0].getMessage()
        return reason


@pytest.fixture
def shown(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Shown:
    return Shown(capfd, caplog)


def _file(path: object, key: str | None = None, subdir: str = "bad") -> Callable[[bool], object]:
    return lambda verbose: upload_file(str(path), key, models_subdir=subdir, verbose=verbose)


def _directory(
    path: object, prefix: str | None = None, subdir: str = "bad"
) -> Callable[[bool], object]:
    return lambda verbose: upload_directory(
        str(path), prefix, models_subdir=subdir, verbose=verbose
    )


# ----------------------------------------------------------------------------------------- paths


@pytest.mark.usefixtures("configured")
def test_missing_paths(tmp_path: Path, shown: Shown) -> None:
    missing = tmp_path / "missing"
    for reason in (
        shown.failure(_file(missing), False),  # noqa: FBT003
        shown.failure(_directory(missing), _NONE),
    ):
        assert reason == f"“{missing}”不存在。请检查路径。"


@pytest.mark.usefixtures("configured")
def test_directory_and_file_in_each_others_place(tmp_path: Path, shown: Shown) -> None:
    make_tree(tmp_path, {"f": 1})
    assert "upload_directory" in shown.failure(_file(tmp_path), False)  # noqa: FBT003
    assert "upload_file" in shown.failure(_directory(tmp_path / "f"), _NONE)


@pytest.mark.usefixtures("configured")
def test_unreadable_file_and_nul_in_a_path(tmp_path: Path, shown: Shown) -> None:
    (tmp_path / "mem").symlink_to("/proc/self/mem")
    assert f"{tmp_path}/mem" in shown.failure(_file(tmp_path / "mem"), False)  # noqa: FBT003
    for reason in (
        shown.failure(_file(f"{tmp_path}/a\0b", "key"), False),  # noqa: FBT003
        shown.failure(_directory(f"{tmp_path}/a\0b"), _NONE),
    ):
        assert "NUL" in reason
        assert "\0" not in reason


@pytest.mark.usefixtures("configured")
def test_empty_directory_is_a_success(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert upload_directory(tmp_path) == {"total": 0, "success": 0, "failed": 0}
    out, _ = capfd.readouterr()
    assert "❌" not in out
    assert "总计: 0 个文件" in out


_WITHOUT_CAPABILITIES = """
import ctypes, os
if os.geteuid() == 0:
    # Root without its capabilities (capset(2)) reads what its permissions say, as others do.
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert ctypes.CDLL(None).capset(header, none) == 0
"""


@pytest.mark.skipif(
    sys.platform != "linux" and os.geteuid() == 0, reason="root reads everything here"
)
def test_files_without_read_permission(server: LocalS3Server, tmp_path: Path) -> None:
    make_tree(tmp_path / "t", {"good": 3, "locked": 3, "dir/f": 1})
    (tmp_path / "t/locked").chmod(0)
    (tmp_path / "t/dir").chmod(0)
    code = _WITHOUT_CAPABILITIES + textwrap.dedent(f"""
        from s3_uploader import upload_directory
        print(upload_directory({str(tmp_path / "t")!r}, "t", "unreadable"))
    """)
    environ = {**server.environ(), "HOME": str(tmp_path), "S3_UPLOADER_CA_BUNDLE": ""}
    environ["RUNPOD_S3_ENDPOINT_URL"] = server.http_url
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert "{'total': 3, 'success': 1, 'failed': 2}" in done.stdout
    assert done.stdout.count("❌") == 2
    assert "Permission denied" in done.stdout


# ------------------------------------------------------------------------------------------ keys


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("a/../b", "“..”"),
        ("a/./b", "“.”"),
        ("a//b", "//"),
        ("a/", "“/”"),
        ("a\0b", "NUL"),
        ("é" * 600, "1024"),
        ("a\udcff", "UTF-8"),
    ],
)
def test_keys_no_store_should_hold(tmp_path: Path, shown: Shown, key: str, words: str) -> None:
    make_tree(tmp_path, {"f": 1})
    assert words in shown.failure(_file(tmp_path / "f", key), False)  # noqa: FBT003
    if not key.endswith("/"):
        assert words in shown.failure(_directory(tmp_path, key), _NONE)


@pytest.mark.usefixtures("configured")
def test_name_that_is_not_utf8_fails_alone(
    tmp_path: Path, prefix: str, bucket: Bucket, capfd: pytest.CaptureFixture[str]
) -> None:
    content = make_tree(tmp_path, {"good": 3})
    os.close(os.open(os.fsencode(tmp_path) + b"/caf\xe9", os.O_CREAT))
    result = upload_directory(tmp_path, models_subdir=prefix)
    assert result == {"total": 2, "success": 1, "failed": 1}
    out, err = capfd.readouterr()
    assert err == ""
    assert out.count("❌") == 1
    assert "caf\\udce9" in out
    assert bucket.tree(prefix) == content


# ----------------------------------------------------------------------------------------- store


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RUNPOD_S3_SECRET_KEY": "rps_5ecret_wrong"}, "aws_secret_access_key"),
        ({"RUNPOD_S3_SECRET_KEY": "rpa_5ecret_rest"}, "rpa_"),
        ({"RUNPOD_S3_ACCESS_KEY": "nobody"}, "aws_access_key_id"),
        ({"RUNPOD_VOLUME_ID": "no-such-volume"}, "no-such-volume"),
        ({"RUNPOD_VOLUME_ID": "not a bucket!"}, "not a bucket!"),
        ({"RUNPOD_S3_ENDPOINT_URL": "http://no-such-host.invalid"}, "no-such-host.invalid"),
        ({"S3_UPLOADER_CA_BUNDLE": ""}, "S3_UPLOADER_CA_BUNDLE"),
        ({"S3_UPLOADER_PART_SIZE": "huge"}, "S3_UPLOADER_PART_SIZE"),
        ({"RUNPOD_S3_ENDPOINT_URL": "127.0.0.1"}, "RUNPOD_S3_ENDPOINT_URL"),
    ],
)
def test_unusable_store(
    configured: LocalS3Server,
    tmp_path: Path,
    shown: Shown,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, str],
    words: str,
) -> None:
    """For a small file, a multipart one and a directory; the secret is nowhere."""
    assert configured.bucket == bucket.name
    make_tree(tmp_path, {"small": 3, "parts": 6 * MIB})
    monkeypatch.setenv("S3_UPLOADER_MULTIPART_THRESHOLD", "5MiB")
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    for name in ("small", "parts"):
        reason = shown.failure(_file(tmp_path / name), False)  # noqa: FBT003
        assert words in reason
        assert "5ecret" not in reason
    result = upload_directory(tmp_path, models_subdir="bad", verbose=False)
    assert result == {"total": 2, "success": 0, "failed": 2}
    assert bucket.open_uploads("bad") == []


@pytest.mark.usefixtures("configured")
def test_refusing_endpoint_is_given_up_soon(
    tmp_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(tmp_path, {"f": 3})
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        monkeypatch.setenv("RUNPOD_S3_ENDPOINT_URL", url)
        assert url in shown.failure(_file(tmp_path / "f"), False)  # noqa: FBT003


@pytest.mark.usefixtures("configured")
def test_file_over_the_limit_of_the_store(
    tmp_path: Path, shown: Shown, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_UPLOADER_MAX_PARTS", "2")
    monkeypatch.setenv("S3_UPLOADER_MAX_PART_SIZE", "5MiB")
    (tmp_path / "big").touch()
    os.truncate(tmp_path / "big", 10 * MIB + 1)
    reason = shown.failure(_file(tmp_path / "big"), False)  # noqa: FBT003
    assert str(10 * MIB + 1) in reason
    assert str(10 * MIB) in reason
    assert bucket.open_uploads("bad") == []


# --------------------------------------------------------------------------------- configuration


def test_missing_profile_file(home: Path, tmp_path: Path, shown: Shown) -> None:
    make_tree(tmp_path, {"f": 3, "g": 3})
    assert str(home / ".runpod_s3_config") in shown.failure(_file(tmp_path / "f"), False)  # noqa: FBT003
    every = {"total": 2, "success": 0, "failed": 2}
    assert "RUNPOD_VOLUME_ID" in shown.failure(_directory(tmp_path), every)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[other]\nx = 1\n", "runpods3"),
        ("[runpods3]\naws_access_key_id = \n", "aws_access_key_id"),
        ("5ecret without a section\n", "INI"),
        ("[runpods3]\n5ecret\n", "INI"),
    ],
)
def test_invalid_profile_file(
    home: Path, tmp_path: Path, shown: Shown, content: str, words: str
) -> None:
    make_tree(tmp_path, {"f": 3})
    (home / ".runpod_s3_config").write_text(content)
    for reason in (
        shown.failure(_file(tmp_path / "f"), False),  # noqa: FBT003
        shown.failure(_directory(tmp_path), _NONE),
    ):
        assert words in reason
        assert "5ecret" not in reason


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
@pytest.mark.parametrize("content", ["[default]\n5ecret\n", "[a]\n5ecret = 1\n5ecret = 2\n"])
def test_malformed_aws_file_is_named_where_aioboto3_reads_it(
    tmp_path: Path, shown: Shown, monkeypatch: pytest.MonkeyPatch, content: str, variable: str
) -> None:
    """It reads both even where the profile is ours."""
    make_tree(tmp_path / "t", {"f": 3})
    (tmp_path / "aws").write_text(content)
    monkeypatch.setenv("S3_UPLOADER_LANE", "boto")
    monkeypatch.setenv(variable, str(tmp_path / "aws"))
    reason = shown.failure(_file(tmp_path / "t" / "f"), False)  # noqa: FBT003
    assert str(tmp_path / "aws") in reason
    assert f"line {content.count(chr(10))}" in reason


def test_unknown_profile(
    server: LocalS3Server, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_tree(tmp_path, {"f": 3})
    server.write_profile(home / ".runpod_s3_config")
    assert upload_file(tmp_path / "f", profile="typo") is False
    out, err = capfd.readouterr()
    assert err == ""
    assert "typo" in out
    assert "runpods3" in out


# -------------------------------------------------------------------------------- during an upload


@pytest.mark.anyio
@pytest.mark.parametrize("lane", ["boto-http", "boto-https"])
@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda path: os.truncate(path, MIB), "source.changed"),
        (os.unlink, "source.vanished"),
    ],
)
async def test_file_that_shrinks_or_vanishes_midway(
    lane: str,
    act: Callable[[Path], None],
    code: str,
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
) -> None:
    """On a real store: nothing published, nothing open, and the other file goes up."""
    content = make_tree(tmp_path, {"victim": 16 * MIB, "other": 10})
    config = UploadConfig(
        part_size=5 * MIB, multipart_threshold=5 * MIB, max_requests=1, ca_bundle=server.ca_bundle
    )
    left = True

    async def hook(moment: Moment) -> None:
        nonlocal left
        if (moment.when, moment.operation) == ("after", "UploadPart") and left:
            left = False
            act(tmp_path / "victim")

    async with (
        open_lane(lane, server, config=config) as inner,
        Uploader(store=HookedStore(inner, hook), config=config) as uploader,
    ):
        with anyio.fail_after(60):
            report = await uploader.upload_directory(tmp_path, prefix)
    assert [(outcome.name, outcome.error) for outcome in report.failures] == [("victim", code)]
    assert bucket.tree(prefix) == {"other": content["other"]}
    assert bucket.open_uploads(prefix) == []


@pytest.mark.anyio
@pytest.mark.parametrize("lane", ["boto-http", "boto-https"])
async def test_file_that_changes_during_its_only_put_publishes_nothing(
    lane: str, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    make_tree(tmp_path, {"f": 4 * MIB})

    async def hook(moment: Moment) -> None:
        if moment.when == "chunk":
            os.utime(tmp_path / "f", ns=(1, 1))

    async with (
        open_lane(lane, server) as inner,
        Uploader(store=HookedStore(inner, hook), config=UploadConfig()) as uploader,
    ):
        outcome = await uploader.upload_file(tmp_path / "f", f"{prefix}/f")
    assert outcome.error == "source.changed"
    assert not bucket.exists(f"{prefix}/f")
