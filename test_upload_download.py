#!/usr/bin/env python3
"""Upload a file, download it with an independent client (boto3), compare SHA-256, clean up.

Run as `python3 test_upload_download.py`; pytest does not collect it. Exit codes: 0 passed, or
skipped for want of an S3 configuration; 1 failed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_uploader import Profile

_DESCRIPTION = """上传一个文件，用独立的客户端（boto3）下载，比较 SHA-256，最后清理。

退出码：0 通过，或没有 S3 配置而跳过；1 失败（加 --require-s3 时，没有配置也算失败）。"""
_SIZE = 5 * 1024 * 1024 + 1
_BLOCK = 1024 * 1024
_NOT_CONFIGURED = {"config.no_profile_file", "config.unknown_profile"}
_VENV = os.path.join(os.path.dirname(os.path.abspath(__file__)), ".venv")


def _use_project_venv() -> None:
    """Start again with .venv, where this Python has no s3_uploader."""
    python = os.path.join(_VENV, "bin", "python")
    inside = os.path.realpath(sys.prefix) == os.path.realpath(_VENV)
    if inside or not os.path.exists(python):
        sys.exit("❌ 当前 Python 没有安装 s3_uploader。请先运行 make demo 或 pip install s3up.")
    sys.stdout.flush()
    os.execv(python, [python, *sys.argv])  # noqa: S606  (our own interpreter, no shell)


try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    from s3_uploader import ConfigError, UploadConfig, load_profile, upload_file
except ImportError:
    if __name__ != "__main__":
        raise
    _use_project_venv()


class TestFailedError(Exception):
    """The reason why the round trip failed."""

    __test__ = False


@dataclass(frozen=True)
class Remote:
    """The object under test, and an independent client for its bucket."""

    client: Any
    bucket: str
    key: str

    @property
    def url(self) -> str:
        """Where the object is, for messages."""
        return f"s3://{self.bucket}/{self.key}"


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--models-subdir", default="/workspace/models", help='子目录前缀，"" 为根目录')
    add("--local-file", help="要上传的文件；默认生成一个临时文件")
    add("--profile", default="runpods3", help="S3 配置 profile，默认 runpods3")
    add("--datacenter", help="数据中心；配置了 endpoint 时只决定 region")
    add("--volume-id", help="Volume ID（存储桶）")
    add("--endpoint-url", help="S3 endpoint 地址")
    add("--remote-key", help="远程对象键；默认是一个不会重名的键")
    add("--keep-remote", action="store_true", help="保留远程对象")
    add("--require-s3", action="store_true", help="没有 S3 配置时算失败，而不是跳过")
    return parser.parse_args(argv)


def _override_environment(options: argparse.Namespace) -> None:
    """Let the flags act on both directions: both read the profile from here."""
    flags = {
        "RUNPOD_DATACENTER": options.datacenter,
        "RUNPOD_VOLUME_ID": options.volume_id,
        "RUNPOD_S3_ENDPOINT_URL": options.endpoint_url,
        # These win over RunPod's names; a region would win over the datacenter.
        "S3_UPLOADER_BUCKET": options.volume_id,
        "S3_UPLOADER_ENDPOINT_URL": options.endpoint_url,
    }
    os.environ.update({name: value for name, value in flags.items() if value})
    if options.datacenter:
        os.environ.pop("S3_UPLOADER_REGION", None)


def _client(profile: Profile, config: UploadConfig) -> Any:
    session = boto3.session.Session(
        aws_access_key_id=profile.access_key or None,
        aws_secret_access_key=profile.secret_key or None,
        aws_session_token=profile.session_token or None,
        region_name=profile.region or None,
        profile_name=profile.aws_profile or None,
    )
    return session.client(
        "s3",
        endpoint_url=profile.endpoint_url or None,
        verify=config.ca_bundle,
        config=Config(
            s3={"addressing_style": "path"} if profile.endpoint_url else None,
            retries={"mode": "standard", "total_max_attempts": 5},
            connect_timeout=config.connect_timeout,
            read_timeout=config.response_timeout,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@contextmanager
def _local_file(given: str | None) -> Iterator[str]:
    """Give the file to upload; one that was made for it is deleted."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="s3-uploader-test-") as folder:
        path = os.path.join(folder, "test.bin")
        with open(path, "wb") as stream:
            stream.write(os.urandom(_SIZE))
        yield path


@contextmanager
def _removed(remote: Remote, *, keep: bool) -> Iterator[None]:
    """Delete the object at the end, also after a failure."""
    failed = True
    try:
        yield
        failed = False
    finally:
        if keep:
            print(f"📌 已保留 {remote.url}")
        else:
            _remove(remote, failed=failed)


def _remove(remote: Remote, *, failed: bool) -> None:
    try:
        remote.client.delete_object(Bucket=remote.bucket, Key=remote.key)
    except (BotoCoreError, ClientError) as error:
        if not failed:
            raise TestFailedError(f"无法删除 {remote.url}：{error}") from error
        print(f"⚠️  无法删除 {remote.url}：{error}")
    else:
        print(f"🧹 已删除 {remote.url}")


def _refuse_existing(remote: Remote) -> None:
    """Refuse to replace, and then delete, an object that this test did not make."""
    try:
        remote.client.head_object(Bucket=remote.bucket, Key=remote.key)
    except (BotoCoreError, ClientError):
        return
    raise TestFailedError(f"{remote.url} 已存在，测试会覆盖并删除它。请换一个 --remote-key。")


def _hash_local(path: str) -> tuple[int, str]:
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return stream.tell(), digest


def _hash_remote(remote: Remote) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    try:
        answer = remote.client.get_object(Bucket=remote.bucket, Key=remote.key)
        for block in answer["Body"].iter_chunks(_BLOCK):
            digest.update(block)
            size += len(block)
    except (BotoCoreError, ClientError) as error:
        raise TestFailedError(f"下载 {remote.url} 失败：{error}") from error
    return size, digest.hexdigest()


def _compare(path: str, remote: Remote) -> None:
    print("\n📥 下载并比较 SHA-256...")
    sent, received = _hash_local(path), _hash_remote(remote)
    print(f"   本地: {sent[1]}（{sent[0]} 字节）")
    print(f"   远程: {received[1]}（{received[0]} 字节）")
    if sent != received:
        raise TestFailedError("下载的内容与本地文件不同")


def _full_key(subdir: str, key: str) -> str:
    """Apply the documented path rule, apart from the code under test."""
    return "/".join(piece for piece in (subdir.strip("/"), key.lstrip("/")) if piece)


def _round_trip(options: argparse.Namespace) -> None:
    _override_environment(options)
    profile = load_profile(options.profile)
    client = _client(profile, UploadConfig.load(profile))
    with _local_file(options.local_file) as path:
        name = f"s3-uploader-test-{uuid.uuid4().hex[:12]}/{os.path.basename(path)}"
        key = options.remote_key or name
        remote = Remote(client, profile.bucket, _full_key(options.models_subdir, key))
        if options.remote_key and not options.keep_remote:
            _refuse_existing(remote)
        with _removed(remote, keep=options.keep_remote):
            if not upload_file(path, key, options.models_subdir, options.profile):
                raise TestFailedError("上传失败，原因见上")
            _compare(path, remote)


def _not_configured(error: ConfigError, *, required: bool) -> int:
    if required:
        print(f"❌ 测试失败：{error.message('zh')}")
        return 1
    print(f"⏭️  跳过：没有 S3 配置。{error.message('zh')}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Run the test and return the exit code."""
    options = _parse(argv)
    try:
        _round_trip(options)
    except ConfigError as error:
        if error.code in _NOT_CONFIGURED:
            return _not_configured(error, required=options.require_s3)
        print(f"❌ 测试失败：{error.message('zh')}")
        return 1
    except (TestFailedError, BotoCoreError, OSError, ValueError) as error:
        print(f"❌ 测试失败：{error}")
        return 1
    except KeyboardInterrupt:
        print("\n已中断")
        return 130
    print("\n✅ 测试通过：下载的内容与本地文件一致")
    return 0


if __name__ == "__main__":
    sys.exit(main())
