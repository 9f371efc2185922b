"""The documented functions: the guide's examples as written, defaults, returns, and the log."""

import inspect
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

import s3_uploader
from conftest import Bucket
from s3_uploader import LogConsumer, upload_directory, upload_file, verify_directory
from s3_uploader.consumers.log import format_size
from s3_uploader.events import (
    BytesSent,
    CallFinished,
    CallKind,
    CallStarted,
    EntrySkipped,
    Event,
    FileFailed,
    FileStarted,
    FileUnknown,
    FileUploaded,
    PartReused,
    ScanFinished,
)
from s3_uploader.testing import LocalS3Server
from trees import make_tree

_EXAMPLES = {
    "file": (
        """
        from s3_uploader import upload_file

        # 基本用法（使用默认子目录 /workspace/models）
        success = upload_file(
            local_path='/path/to/model.bin',
            remote_key='my-model/model.bin'
        )

        if success:
            print("上传成功！")
        """,
        {"workspace/models/my-model/model.bin": "/path/to/model.bin"},
    ),
    "subdirectory": (
        """
        from s3_uploader import upload_file
        # 上传到自定义子目录
        success = upload_file(
            local_path='/path/to/model.bin',
            remote_key='bert-base/model.bin',
            models_subdir='/workspace/cache'
        )
        """,
        {"workspace/cache/bert-base/model.bin": "/path/to/model.bin"},
    ),
    "directory": (
        """
        from s3_uploader import upload_directory

        # 上传目录（不包含父目录名）
        result = upload_directory(
            local_dir='/local/bert-base',
            remote_prefix='bert-base',
            models_subdir='/workspace/models'
        )

        print(f"上传完成: {result['success']}/{result['total']} 个文件")
        """,
        {
            f"workspace/models/bert-base/{name}": f"/local/bert-base/{name}"
            for name in ("config.json", "model.bin", "tokenizer/vocab.txt")
        },
    ),
    "parent": (
        """
        from s3_uploader import upload_directory
        # 上传目录（包含父目录名）
        result = upload_directory(
            local_dir='/local/bert-base',
            remote_prefix='v1',
            models_subdir='/workspace/models',
            include_parent_dir=True
        )
        """,
        {
            f"workspace/models/v1/bert-base/{name}": f"/local/bert-base/{name}"
            for name in ("config.json", "model.bin", "tokenizer/vocab.txt")
        },
    ),
    "quiet": (
        """
        from s3_uploader import upload_file
        success = upload_file(
            local_path='/path/to/file.bin',
            remote_key='model.bin',
            verbose=False  # 关闭日志
        )
        """,
        {"workspace/models/model.bin": "/path/to/file.bin"},
    ),
    "root": (
        """
        from s3_uploader import upload_file
        success = upload_file(
            local_path='/path/to/file.bin',
            remote_key='file.bin',
            models_subdir=''  # 上传到根目录
        )
        # 结果：s3://volume_id/file.bin
        """,
        {"file.bin": "/path/to/file.bin"},
    ),
    "complete": (
        """
        #!/usr/bin/env python3
        from s3_uploader import upload_file, upload_directory

        def main():
            # 1. 上传单个模型文件
            print("=== 上传单个文件 ===")
            success = upload_file(
                local_path='/local/models/bert-base-uncased/pytorch_model.bin',
                remote_key='bert-base-uncased/pytorch_model.bin',
                models_subdir='/workspace/models'
            )

            if not success:
                print("上传失败！")
                return

            # 2. 上传整个模型目录
            print("\\n=== 上传整个目录 ===")
            result = upload_directory(
                local_dir='/local/models/bert-base-uncased',
                remote_prefix='bert-base-uncased',
                models_subdir='/workspace/models',
                include_parent_dir=False
            )

            print(f"\\n总结: 成功 {result['success']}/{result['total']} 个文件")

            if result['failed'] > 0:
                print(f"警告: {result['failed']} 个文件上传失败")

        if __name__ == '__main__':
            main()
        """,
        {
            f"workspace/models/bert-base-uncased/{name}": f"/local/models/bert-base-uncased/{name}"
            for name in ("pytorch_model.bin", "config.json")
        },
    ),
}
"""Code of the guide, and the object each local file becomes."""


@pytest.mark.parametrize("by", ["environment", "file"])
@pytest.mark.parametrize("name", _EXAMPLES)
def test_example_of_the_guide_runs_as_written(
    name: str,
    by: str,
    server: LocalS3Server,
    bucket: Bucket,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Only the place of the local files differs."""
    code, objects = _EXAMPLES[name]
    local = {path: 100 + len(path) for path in objects.values()}
    content = make_tree(tmp_path, {path.lstrip("/"): size for path, size in local.items()})
    if by == "file":
        server.write_profile(home / ".runpod_s3_config")
    else:
        for variable, value in server.environ().items():
            monkeypatch.setenv(variable, value)
    script = textwrap.dedent(code).replace("'/path/", f"'{tmp_path}/path/")
    script = script.replace("'/local/", f"'{tmp_path}/local/")
    exec(compile(script, "guide.py", "exec"), {"__name__": "__main__"})  # noqa: S102
    for key, path in objects.items():
        assert bucket.get(key) == content[path.lstrip("/")]
    out, err = capfd.readouterr()
    assert err == ""
    assert "❌" not in out
    assert ("✅" in out) == (name != "quiet")


def _signature(function: object) -> dict[str, object]:
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return {item.name: item.default for item in parameters}


def test_signatures_are_those_of_the_guide() -> None:
    required = inspect.Parameter.empty
    assert _signature(upload_file) == {
        "local_path": required,
        "remote_key": None,
        "models_subdir": "/workspace/models",
        "profile": "runpods3",
        "verbose": True,
    }
    assert _signature(upload_directory) == {
        "local_dir": required,
        "remote_prefix": None,
        "models_subdir": "/workspace/models",
        "include_parent_dir": False,
        "profile": "runpods3",
        "verbose": True,
    }
    assert s3_uploader.upload_file is upload_file


def test_arguments_work_by_position(
    configured: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    content = make_tree(tmp_path / "d", {"f": 10})
    profile = "runpods3"
    assert configured.bucket == bucket.name
    assert upload_file(str(tmp_path / "d/f"), "k", prefix, profile, False) is True  # noqa: FBT003
    assert upload_directory(str(tmp_path / "d"), "p", prefix, True, profile, False) == {  # noqa: FBT003
        "total": 1,
        "success": 1,
        "failed": 0,
    }
    assert bucket.tree(prefix) == {"k": content["f"], "p/d/f": content["f"]}


@pytest.mark.usefixtures("configured")
def test_key_defaults_to_the_name_of_the_file(bucket: Bucket, tmp_path: Path, prefix: str) -> None:
    content = make_tree(tmp_path, {"model.bin": 10})
    assert upload_file(tmp_path / "model.bin", models_subdir=prefix, verbose=False)
    assert bucket.tree(prefix) == content


@pytest.mark.usefixtures("configured")
def test_success_is_silent_unless_verbose(
    tmp_path: Path,
    prefix: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_tree(tmp_path, {"f": 10, "d/g": 0})
    assert upload_file(tmp_path / "f", models_subdir=prefix, verbose=False)
    result = upload_directory(tmp_path, models_subdir=prefix, verbose=False)
    assert result == {"total": 2, "success": 2, "failed": 0}
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.name == "s3_uploader"] == []


# ------------------------------------------------------------------------------------------- log


def test_log_of_a_file_is_that_of_the_guide_to_the_letter(
    configured: LocalS3Server, tmp_path: Path, prefix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    make_tree(tmp_path, {"model.bin": 4 * 1024 * 1024})
    path = tmp_path / "model.bin"
    assert upload_file(str(path), "bert-base/model.bin", f"/{prefix}")
    out, err = capfd.readouterr()
    assert err == ""
    out = re.sub(r"\d+\.\d+ MB/s|\d+\.\d+ GB/s|\d+\.\d+ KB/s", "# MB/s", out)
    assert re.sub(r"\d+\.\d 秒", "# 秒", out) == textwrap.dedent(f"""\
        📂 本地文件: {path}
           大小: 4.00 MB

        🔧 S3 配置
           Endpoint: {configured.endpoint_url}
           Region: us-ca-2
           Volume: {configured.bucket}

        📍 目标路径: {prefix}/bert-base/model.bin
           完整 S3 路径: s3://{configured.bucket}/{prefix}/bert-base/model.bin

        📤 开始上传...
           进度: 25.0% (1.00 MB / 4.00 MB) - # MB/s
           进度: 50.0% (2.00 MB / 4.00 MB) - # MB/s
           进度: 75.0% (3.00 MB / 4.00 MB) - # MB/s
           进度: 100.0% (4.00 MB / 4.00 MB) - # MB/s

        ✅ 上传成功！
           耗时: # 秒
           平均速度: # MB/s
        """)


def test_log_of_a_directory_is_that_of_the_guide_to_the_letter(
    configured: LocalS3Server,
    tmp_path: Path,
    prefix: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Blocks come in order of completion: with one request at a time, one after the other."""
    monkeypatch.setenv("S3_UPLOADER_MAX_REQUESTS", "1")
    make_tree(tmp_path, {"config.json": 1024, "model.bin": 2048})
    result = upload_directory(str(tmp_path), "bert-base", f"/{prefix}")
    assert result == {"total": 2, "success": 2, "failed": 0}
    out, err = capfd.readouterr()
    assert err == ""
    first, second = re.findall(r"^\[\d/2\] (.*)$", out, re.MULTILINE)
    assert {first, second} == {"config.json", "model.bin"}
    url = f"s3://{configured.bucket}/{prefix}/bert-base"
    assert out == textwrap.dedent(f"""\
        📂 本地目录: {tmp_path}
           文件数量: 2
           总大小: 3.00 KB

        🔧 S3 配置
           Endpoint: {configured.endpoint_url}
           Volume: {configured.bucket}

        📤 开始上传 2 个文件...

        [1/2] {first}
           → {url}/{first}
           ✅ 成功

        [2/2] {second}
           → {url}/{second}
           ✅ 成功

        ============================================================
        📊 上传完成
           总计: 2 个文件
           成功: 2 个
           失败: 0 个
        """)


@pytest.mark.usefixtures("configured")
def test_log_is_english_on_request(
    tmp_path: Path,
    prefix: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("S3_UPLOADER_LANG", "en")
    make_tree(tmp_path, {"f": 10})
    assert upload_file(tmp_path / "f", models_subdir=prefix)
    upload_directory(tmp_path, models_subdir=prefix)
    assert not upload_file(tmp_path / "missing", models_subdir=prefix)
    out, _ = capfd.readouterr()
    assert re.findall("[\u4e00-\u9fff]", out) == []
    for words in ("Upload succeeded!", "[1/1] f", "Upload finished", "does not exist"):
        assert words in out


def test_log_prints_on_a_terminal_without_chinese(
    configured: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    make_tree(tmp_path, {"f": 10})
    code = f"from s3_uploader import upload_file; upload_file({str(tmp_path / 'f')!r}, {prefix!r})"
    environ = configured.environ() | {"PYTHONIOENCODING": "ascii", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "\\u4e0a\\u4f20\\u6210\\u529f" in done.stdout


# ---------------------------------------------------------------------- the log, folded by itself


def _started(
    kind: CallKind, *, provider: str = "generic", target: str = "workspace/models/m"
) -> Event:
    return CallStarted(
        call=1,
        at=0.0,
        kind=kind,
        source="/src",
        target=target,
        endpoint="https://s3api-us-ca-2.runpod.io/",
        region="us-ca-2",
        bucket="vol",
        provider=provider,
    )


def _uploaded(file: int, name: str, size: int = 0, at: float = 1.0) -> FileUploaded:
    return FileUploaded(
        call=1,
        at=at,
        file=file,
        name=name,
        key=f"p/{name}",
        size=size,
        etag="e",
        parts=1,
        verified_by="etag-md5",
        lane="memory",
        seconds=at,
    )


def _fold(*events: Event) -> list[str]:
    lines: list[str] = []
    log = LogConsumer("zh", lines.append)
    for event in events:
        log(event)
    return "\n".join(lines).split("\n")


def test_items_follow_completion_and_come_before_the_tree_is_sent() -> None:
    lines: list[str] = []
    log = LogConsumer("zh", lines.append)
    log(_started("upload_directory"))
    log(_uploaded(7, "early"))
    assert lines == []
    log(ScanFinished(call=1, at=1.0, files=3, size=30))
    assert lines[-1].startswith("[1/3] early\n")
    log(_uploaded(2, "b"))
    assert lines[-1].startswith("[2/3] b\n")
    log(
        FileFailed(
            call=1,
            at=1.0,
            file=0,
            name="a",
            key="p/a",
            size=1,
            code="store.full",
            params={"status": 507},
            seconds=0.1,
        )
    )
    assert lines[-1].startswith("[3/3] a\n   → s3://vol/p/a\n   ❌ 失败: ")
    log(CallFinished(call=1, at=2.0, seconds=2.0))
    assert lines[-1].endswith("总计: 3 个文件\n   成功: 2 个\n   失败: 1 个")


def test_control_characters_of_a_name_do_not_reach_the_terminal() -> None:
    lines = _fold(
        _started("upload_directory"),
        ScanFinished(call=1, at=1.0, files=1, size=1),
        _uploaded(0, "a\n\x1b[31mb"),
    )
    assert "[1/1] a\\n\\x1b[31mb" in lines


def test_unread_log_does_not_disturb_the_upload(configured: LocalS3Server, tmp_path: Path) -> None:
    """As with `| head -1`: the pipe is closed before the first line."""
    del configured
    (tmp_path / "f").write_bytes(b"x")
    program = (
        "import sys; from s3_uploader import upload_file; sys.exit(not upload_file(sys.argv[1]))"
    )
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as out:
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "f")],
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_skipped_link_is_in_the_log() -> None:
    skip = EntrySkipped(
        call=1, at=0.0, name="self", code="source.link_cycle", params={"path": "/src/self"}
    )
    assert any("跳过 self" in line for line in _fold(_started("upload_directory"), skip))


@pytest.mark.parametrize("kind", ["upload_file", "upload_directory"])
def test_log_says_how_much_was_already_uploaded(kind: CallKind) -> None:
    """And does not count as speed: nothing of it was sent now."""
    done = replace(_uploaded(0, "m", 3 * 1024**2, at=2.0), reused=2 * 1024**2)
    events: list[Event] = [
        _started(kind),
        ScanFinished(call=1, at=0.0, files=1, size=done.size),
        FileStarted(call=1, at=0.0, file=0, name="m", key="k", size=done.size),
        PartReused(call=1, at=1.0, file=0, part=1, size=2 * 1024**2),
        done,
    ]
    text = "\n".join(_fold(*events))
    assert "其中 2.00 MB" in text
    if kind == "upload_file":
        assert "进度: 100.0% (3.00 MB / 3.00 MB) - 512.00 KB/s" in text
        assert "平均速度: 512.00 KB/s" in text
    assert "其中" not in "\n".join(_fold(*events[:-1], _uploaded(0, "m", 10)))


def test_unknown_outcome_is_neither_a_success_nor_called_a_failure() -> None:
    unknown = FileUnknown(
        call=1,
        at=1.0,
        file=0,
        name="a",
        key="p/a",
        size=1,
        code="outcome.unknown",
        params={"key": "p/a", "reason": "…"},
        seconds=0.1,
    )
    assert _fold(_started("upload_file"), unknown)[0].startswith("❔ 结果未知: ")
    scan = ScanFinished(call=1, at=0.0, files=1, size=1)
    lines = _fold(
        _started("upload_directory"), scan, unknown, CallFinished(call=1, at=2.0, seconds=2)
    )
    assert any(line.startswith("   ❔ 未知: ") for line in lines)
    assert lines[-3:] == ["   成功: 0 个", "   失败: 1 个", "   其中结果未知: 1 个"]


@pytest.mark.parametrize("kind", ["upload_file", "upload_directory"])
def test_log_on_runpod_says_where_a_pod_sees_the_files(kind: CallKind) -> None:
    key = "workspace/models/m"
    file = FileStarted(call=1, at=0.0, file=0, name="m", key=key, size=1)
    scan = ScanFinished(call=1, at=0.0, files=1, size=1)
    text = "\n".join(_fold(_started(kind, provider="runpod"), scan, file))
    assert f"/workspace/{key}" in text
    assert 'models_subdir="/models"' in text
    assert "/workspace/models" in text
    elsewhere = "\n".join(_fold(_started(kind), scan, file))
    assert "Pod" not in elsewhere
    better = "\n".join(_fold(_started(kind, provider="runpod", target="models/m"), scan))
    assert "models_subdir=" not in better


def test_part_sent_again_does_not_count_twice() -> None:
    """Progress never goes back, and the last quarter waits for the commit."""
    events = [
        _started("upload_file"),
        FileStarted(call=1, at=0.0, file=0, name="m", key="k", size=100),
        *(
            BytesSent(call=1, at=1.0, file=0, part=part, sent=sent)
            for part, sent in [(1, 50), (1, 10), (1, 50), (2, 50), (2, 0), (2, 50)]
        ),
        _uploaded(0, "m", 100, at=2.0),
    ]
    shown = [line.strip().split(" (")[0] for line in _fold(*events) if "进度" in line]
    assert shown == ["进度: 50.0%", "进度: 100.0%"]


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.00 KB"),
        (1536, "1.50 KB"),
        (1024**2 - 1, "1.00 MB"),
        (1024**2 - 6, "1023.99 KB"),
        (1024**2, "1.00 MB"),
        (1320702444, "1.23 GB"),
        (329853488, "314.57 MB"),
        (1024**4, "1.00 TB"),
        (5 * 1024**6, "5120.00 PB"),
    ],
)
def test_sizes_are_binary_with_the_labels_of_the_guide(size: int, shown: str) -> None:
    assert format_size(size) == shown


@pytest.mark.parametrize("symlinks", ["", "follow", "inside", "skip"])
def test_environment_sets_how_links_are_handled(
    symlinks: str,
    configured: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    del configured
    make_tree(tmp_path, {"root/plain": 1, "outside/plain": 1})
    (tmp_path / "root/in").symlink_to("plain")
    (tmp_path / "root/out").symlink_to("../outside/plain")
    monkeypatch.setenv("S3_UPLOADER_SYMLINKS", symlinks)
    wanted = {"inside": {"plain", "in"}, "skip": {"plain"}}.get(symlinks, {"plain", "in", "out"})
    count = len(wanted)
    result = upload_directory(tmp_path / "root", models_subdir=prefix)
    assert result == {"total": count, "success": count, "failed": 0}
    assert set(bucket.etags(prefix)) == wanted
    assert ("经由符号链接" in capfd.readouterr().out) == (symlinks != "skip")
    found = verify_directory(tmp_path / "root", models_subdir=prefix, verbose=False)
    assert found["same"] == count
