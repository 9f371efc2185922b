"""The boto lane where awscrt is installed: botocore then signs with it and wants to seek bodies."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import Bucket
from s3_uploader.testing import LocalS3Server

_UPLOADS = """\
import os, sys
from unittest import mock

import anyio
from botocore.auth import AUTH_TYPE_MAPS

from s3_uploader import UploadConfig
from s3_uploader.checksums import Digests
from s3_uploader.profile import load_profile
from s3_uploader.source import FileRange, open_source
from s3_uploader.store import BytesBody, CompletedPart, PutOptions
from s3_uploader.store.boto.client import open_boto_store

file, prefix = sys.argv[1:]
half = os.path.getsize(file) // 2
kind = "application/octet-stream"


async def main():
    config = UploadConfig(ca_bundle=os.environ["S3_UPLOADER_CA_BUNDLE"])
    async with open_boto_store(load_profile(), config) as store:
        async def put(name, body):
            await store.put_object(f"{prefix}/{name}", body, PutOptions(kind))

        def part(offset):
            return FileRange(file, open_source(file), offset=offset, size=half, digests=Digests())

        await put("file", part(0))
        await put("bytes", BytesBody(b"in memory"))
        await put("empty", BytesBody(b""))
        key = f"{prefix}/parts"
        upload = await store.create_multipart_upload(key, PutOptions(kind))
        parts = []
        for number, offset in ((1, 0), (2, half)):
            receipt = await store.upload_part(key, upload, number, part(offset))
            parts.append(CompletedPart(number, receipt.etag))
        await store.complete_multipart_upload(key, upload, parts)


chosen = AUTH_TYPE_MAPS["s3v4"]
plain = chosen.add_auth
with mock.patch.object(chosen, "add_auth", autospec=True, side_effect=plain) as signer:
    anyio.run(main)
print(chosen.__module__, signer.call_count)
"""


@pytest.mark.skipif(find_spec("awscrt") is None, reason="awscrt (extra crc) is not installed")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_bodies_arrive_when_botocore_signs_with_awscrt(
    scheme: str, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    """In a new process: botocore chooses its signer when it is imported."""
    data = os.urandom(10 * 1024 * 1024)
    file = tmp_path / "f"
    file.write_bytes(data)
    environ = {name: value for name, value in os.environ.items() if name != "BOTO_DISABLE_CRT"}
    endpoint = server.https_url if scheme == "https" else server.http_url
    environ |= server.environ() | {"RUNPOD_S3_ENDPOINT_URL": endpoint}
    done = subprocess.run(
        [sys.executable, "-c", _UPLOADS, str(file), prefix],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("botocore.crt.auth 7\n", "")
    assert bucket.tree(prefix) == {
        "file": data[: len(data) // 2],
        "bytes": b"in memory",
        "empty": b"",
        "parts": data,
    }
