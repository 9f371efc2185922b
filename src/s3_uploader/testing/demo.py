"""Upload a model directory to a real S3 server on this machine, and prove that it arrived.

Run by `make demo`. Uploads with the two documented functions, downloads everything with boto3,
which shares no code with them, and compares SHA-256. Exits 0 only if the bucket holds exactly the
files that were made. Server and files are removed in the end, also after Ctrl-C and SIGTERM.
"""

import argparse
import hashlib
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from s3_uploader.api import upload_directory, upload_file
from s3_uploader.consumers.log import format_size, write_stdout
from s3_uploader.errors import S3UploaderError
from s3_uploader.testing.demo_model import BLOCK, PREFIX, ROOT, SINGLE_KEY, Made, Model
from s3_uploader.testing.server import LocalS3Server

_ENDING = (signal.SIGTERM, signal.SIGHUP)

T = TypeVar("T")


# ------------------------------------------------------------------------------------ the proof


@dataclass(slots=True)
class Proof:
    """The objects an independent client found in the bucket, and the keys that differ."""

    found: dict[str, Made]
    missing: list[str]
    extra: list[str]
    different: list[str]
    open_uploads: list[str]

    @property
    def ok(self) -> bool:
        """Whether the bucket holds what was made, and nothing else."""
        return not (self.missing or self.extra or self.different or self.open_uploads)


def _independent_client(server: LocalS3Server) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.datacenter.lower(),
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )


def _prove(server: LocalS3Server, expected: dict[str, Made]) -> Proof:
    """Download all objects of the bucket and compare them with `expected`."""
    client = _independent_client(server)
    try:
        keys = _keys(client, server.bucket)
        found = {key: _download(client, server.bucket, key) for key in keys}
        pending = client.list_multipart_uploads(Bucket=server.bucket).get("Uploads", [])
    finally:
        client.close()
    return Proof(
        found=found,
        missing=sorted(expected.keys() - found.keys()),
        extra=sorted(found.keys() - expected.keys()),
        different=sorted(k for k in expected.keys() & found.keys() if expected[k] != found[k]),
        open_uploads=[upload["Key"] for upload in pending],
    )


def _keys(client: Any, bucket: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def _download(client: Any, bucket: str, key: str) -> Made:
    digest = hashlib.sha256()
    size = 0
    for block in client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(BLOCK):
        digest.update(block)
        size += len(block)
    return Made(size, digest.hexdigest())


# ---------------------------------------------------------------------------------- the summary


@dataclass(slots=True)
class Timed:
    """Bytes moved, and the seconds it took."""

    size: int
    seconds: float

    def __str__(self) -> str:
        rate = self.size / self.seconds if self.seconds > 0 else 0
        return f"{format_size(self.size):>10} in {self.seconds:5.1f} s = {format_size(rate)}/s"


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.monotonic()
    result = work()
    return result, time.monotonic() - began


def _summary(expected: dict[str, Made], proof: Proof, figures: dict[str, Timed]) -> Iterator[str]:
    yield "\n" + "=" * 60
    yield "Compared with a download by boto3 (SHA-256):\n"
    for key, made in sorted(expected.items()):
        verdict = "MISSING" if key in proof.missing else "ok"
        verdict = "DIFFERENT" if key in proof.different else verdict
        yield f"  {verdict:<10}{format_size(made.size):>10}  {made.sha256[:12]}  {key}"
    for key in proof.extra:
        yield f"  {'EXTRA':<10}{format_size(proof.found[key].size):>10}  {'':12}  {key}"
    for key in proof.open_uploads:
        yield f"  {'UNFINISHED multipart upload':<36}  {key}"
    yield "\nLoopback figures (client, server and disk share this machine; no network, so they"
    yield "say nothing about uploads to a real store; start-up is included):\n"
    for name, figure in figures.items():
        yield f"  {name:<26}{figure}"
    verified = len(expected) - len(proof.missing) - len(proof.different)
    yield f"\n{'✅' if proof.ok else '❌'} {verified} of {len(expected)} files verified"


# -------------------------------------------------------------------------------------- the run


def _isolate(server: LocalS3Server, home: Path) -> None:
    """Let the documented functions see this server, and no setting of the user's own."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "RUNPOD_")):
            del os.environ[name]
    os.environ.update(server.environ())
    os.environ["HOME"] = str(home)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"


@contextmanager
def _ending_undisturbed() -> Iterator[None]:
    """Ignore a second Ctrl-C while what surrounds this block is cleaned up."""
    try:
        yield
    finally:
        for number in (signal.SIGINT, *_ENDING):
            signal.signal(number, signal.SIG_IGN)
        write_stdout("\nStopping the server and deleting its files ...")


def _run(size_mb: int) -> int:
    write_stdout("Starting SeaweedFS on 127.0.0.1 ...")
    with (
        tempfile.TemporaryDirectory(prefix="s3-uploader-demo-") as folder,
        LocalS3Server() as server,
        _ending_undisturbed(),
    ):
        _isolate(server, Path(folder))
        write_stdout(f"Making a model of {size_mb} MB ...\n")
        model = Model(Path(folder), size_mb)
        return _upload_and_prove(server, model)


def _upload_and_prove(server: LocalS3Server, model: Model) -> int:
    counts, directory_seconds = _timed(
        lambda: upload_directory(local_dir=str(model.snapshot), remote_prefix=PREFIX)
    )
    write_stdout("")
    single, file_seconds = _timed(
        lambda: upload_file(local_path=str(model.single), remote_key=SINGLE_KEY)
    )
    proof, download_seconds = _timed(lambda: _prove(server, model.expected))
    total = sum(made.size for made in model.expected.values())
    alone = model.expected[f"{ROOT}/{SINGLE_KEY}"].size
    figures = {
        f"upload_directory, {counts['total']} files": Timed(total - alone, directory_seconds),
        "upload_file, 1 file": Timed(alone, file_seconds),
        "download by boto3": Timed(total, download_seconds),
    }
    for line in _summary(model.expected, proof, figures):
        write_stdout(line)
    reported = single and counts["failed"] == 0
    return 0 if proof.ok and reported else 1


def _size(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit code: 130 after Ctrl-C, 143 after SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m s3_uploader.testing.demo", description=__doc__)
    parser.add_argument("--size-mb", type=_size, default=300, help="size of the model, default 300")
    parser.add_argument("--debug", action="store_true", help="say which lane took each file")
    options = parser.parse_args(argv)
    if options.debug:
        logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
        logging.getLogger("s3_uploader").setLevel(logging.DEBUG)
    ended_by = signal.SIGINT

    def end(number: int, _frame: FrameType | None) -> None:
        # As Ctrl-C, which asyncio turns into an orderly cancellation.
        nonlocal ended_by
        ended_by = signal.Signals(number)
        signal.raise_signal(signal.SIGINT)

    # Set even where a shell started us in the background, with Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _ENDING:
        signal.signal(number, end)
    try:
        return _run(options.size_mb)
    except KeyboardInterrupt:
        write_stdout("Interrupted; the server and its files are removed.")
        return 128 + ended_by
    except S3UploaderError as error:
        write_stdout(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
