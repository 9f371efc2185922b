"""One run of one contender: a process, what the operating system counted, what arrived."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.build import built
from benchmarks.contenders.job import Job
from benchmarks.contenders.registry import Contender
from benchmarks.servers import BUCKET, REGION, Access, Server
from benchmarks.work import Work

ROOT = str(Path(__file__).resolve().parent.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run cost. Seconds, MB; `problem` is "" if all the work arrived.

    Attributes:
        wall: from before the process starts until it has ended.
        user, system: CPU time of the process and of the children it waited for.
        rss: peak resident memory, in MB (10^6 bytes).
        others: CPU time the machine spent elsewhere meanwhile (server, other users of it): shows
            how disturbed a run was.
        counts: what the server counted.
    """

    wall: float
    user: float
    system: float
    rss: float
    problem: str
    others: float
    counts: dict[str, float] = field(default_factory=dict)

    @property
    def cpu(self) -> float:
        """User and system time."""
        return self.user + self.system


def environment(access: Access, contender: Contender, *, slow: bool) -> dict[str, str]:
    """Return the whole environment of a contender: nothing of the caller's settings leaks in."""
    values = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": tempfile.gettempdir(),
        "LANG": "C.UTF-8",
        "AWS_ACCESS_KEY_ID": access.access_key,
        "AWS_SECRET_ACCESS_KEY": access.secret_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # awscrt is only here as a contender; with it installed botocore would sign otherwise
        # than in a plain install.
        "BOTO_DISABLE_CRT": "true",
        "RUNPOD_S3_ACCESS_KEY": access.access_key,
        "RUNPOD_S3_SECRET_KEY": access.secret_key,
        "RUNPOD_DATACENTER": REGION,
        "RUNPOD_VOLUME_ID": BUCKET,
        "RUNPOD_S3_ENDPOINT_URL": access.endpoint,
    }
    if access.ca_bundle:
        values["BENCH_CA"] = access.ca_bundle
        values["S3_UPLOADER_CA_BUNDLE"] = access.ca_bundle
        values["SSL_CERT_FILE"] = access.ca_bundle  # Go programs without an option of their own
    if slow:
        values["BENCH_LINE"] = "slow"
    return values | contender.environ


def run_once(
    contender: Contender,
    server: Server,
    work: Work,
    prefix: str,
    *,
    timeout: float,
    extra: Mapping[str, str],
) -> Run:
    """Let a contender do the work and look at what arrived."""
    server.before(work)
    job = Job(server.access.endpoint, BUCKET, work.source, prefix, work.kind)
    environ = environment(server.access, contender, slow=server.slow)
    if contender.ours:
        environ |= extra
    busy = _machine_cpu()
    with tempfile.TemporaryDirectory(prefix="s3-uploader-bench-run-") as folder:
        report = os.path.join(folder, "usage")
        command = [built("launch"), report, *contender.command(job, server.access.ca_bundle)]
        problem = _launch(command, environ, folder, timeout)
        usage = Path(report).read_text(encoding="ascii").split() if not problem else []
        output = _tail(os.path.join(folder, "output"))
    busy = _machine_cpu() - busy
    if not usage:
        return Run(wall=0, user=0, system=0, rss=0, problem=problem, others=busy)
    wall, user, system, rss, status = (float(value) for value in usage)
    check = server.after(prefix, work)
    problem = check.problem
    if status:
        problem = f"exit status {status:.0f}: {problem or 'all the work arrived'}; {output}"
    return Run(
        wall=wall,
        user=user,
        system=system,
        rss=rss * 1024 / 1e6,  # the kernel counts in KiB
        problem=problem,
        others=busy - user - system,
        counts=check.counts,
    )


def _launch(command: list[str], environ: dict[str, str], folder: str, timeout: float) -> str:
    """Run a command to its end; returns what went wrong."""
    with open(os.path.join(folder, "output"), "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            return f"not done after {timeout:.0f} s"
        finally:
            # Whatever is left of its session, also when we are being ended ourselves.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return "" if process.returncode == 0 else "could not be started"


def _tail(path: str) -> str:
    lines = Path(path).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip()[:160] if lines else "no message"


def _machine_cpu() -> float:
    """Return the CPU seconds the machine has worked since it started."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    ticks = [int(value) for value in fields]
    idle = ticks[3] + ticks[4]
    return (sum(ticks[:8]) - idle) / os.sysconf("SC_CLK_TCK")
