"""Whether memory stays flat: one huge sparse file, then a million tiny ones, to the null sink.

`python -m benchmarks.memory` takes some minutes and, for the tiny files, about 4 GB of disk;
`--quick` is a fiftieth of it. RSS is sampled from /proc over the whole run.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.contenders.job import Job
from benchmarks.contenders.registry import CONTENDERS
from benchmarks.measure import ROOT, environment
from benchmarks.servers import BUCKET, Access
from benchmarks.sink import Sink, SinkStats
from benchmarks.work import GIB, KIB, in_words

LIMIT = 160.0
"""MB, the project's goal."""

GROWTH = 1.10
"""Flat: the last quarter of the run needs at most this much more than the second."""

EVERY = 0.1
FILES_PER_FOLDER = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one upload needed; memory in MB (10^6 bytes).

    Attributes:
        peak: highest sample, and the kernel's own high-water mark if that is higher.
        quarters: highest sample of each quarter of the run.
        problem: "" if all the work arrived.
    """

    work: str
    seconds: float
    peak: float
    quarters: list[float]
    samples: int
    requests: int
    problem: str

    @property
    def flat(self) -> bool:
        """Whether the last quarter needs no more than the second; the first one starts up."""
        return self.quarters[3] <= self.quarters[1] * GROWTH

    @property
    def verdict(self) -> str:
        """Return what it says about the goal."""
        if self.problem:
            return f"FAILED: {self.problem}"
        reasons = [] if self.peak <= LIMIT else [f"over {LIMIT:.0f} MB"]
        reasons += [] if self.flat else ["grows"]
        return "missed: " + ", ".join(reasons) if reasons else "met"


@dataclass(frozen=True, slots=True)
class Task:
    """What is uploaded: `objects` files of `total` bytes in all below or at `source`."""

    words: str
    source: str
    kind: str
    objects: int
    total: int


def sparse_file(folder: str, size: int) -> Task:
    """Make a file of `size` bytes that takes no room."""
    path = os.path.join(folder, "sparse.bin")
    with open(path, "wb") as file:
        file.truncate(size)
    return Task(f"1 × {in_words(size)}, sparse", path, "file", 1, size)


def tiny_files(folder: str, count: int) -> Task:
    """Make `count` files of 0 to 1,024 bytes."""
    source = os.path.join(folder, "tiny")
    pool = os.urandom(2 * KIB)
    total = 0
    for index in range(count):
        place = f"{source}/{index // FILES_PER_FOLDER:04}"
        if index % FILES_PER_FOLDER == 0:
            os.makedirs(place)
        size = index * 7 % (KIB + 1)
        file = os.open(f"{place}/{index:07}", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(file, pool[index % KIB :][:size])
        os.close(file)
        total += size
    return Task(f"{count:,} × 0 to 1,024 B", source, "dir", count, total)


def observe(sink: Sink, name: str, task: Task, timeout: float, extra: dict[str, str]) -> Figures:
    """Let a contender upload and sample its memory until it ends."""
    contender = next(item for item in CONTENDERS if item.name == name)
    sink.reset()
    job = Job(sink.url, BUCKET, task.source, "memory", task.kind)
    process = subprocess.Popen(
        contender.command(job, ""),
        cwd=ROOT,
        env=environment(Access(sink.url), contender, slow=False) | extra,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    began = time.monotonic()
    samples: list[float] = []
    peak = 0.0
    try:
        while process.poll() is None and time.monotonic() - began < timeout:
            resident, high_water = _memory(process.pid)
            samples.append(resident)
            peak = max(peak, resident, high_water)
            time.sleep(EVERY)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    stats = sink.stats()
    return Figures(
        work=task.words,
        seconds=time.monotonic() - began,
        peak=peak,
        quarters=_quarters(samples),
        samples=len(samples),
        requests=stats.requests,
        problem=_problem(process.returncode, stats, task),
    )


def _memory(pid: int) -> tuple[float, float]:
    """Return resident memory and its high-water mark; a process that has just ended has none."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0, 0.0
    values = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return _megabytes(values.get("VmRSS", "0")), _megabytes(values.get("VmHWM", "0"))


def _megabytes(kib: str) -> float:
    return int(kib) * 1024 / 1e6


def _quarters(samples: Sequence[float]) -> list[float]:
    ends = [len(samples) * part // 4 for part in range(5)]
    return [max(samples[ends[i] : ends[i + 1]], default=0.0) for i in range(4)]


def _problem(status: int, stats: SinkStats, task: Task) -> str:
    if status:
        return f"exit status {status}"
    if (stats.objects, stats.object_bytes) != (task.objects, task.total):
        return f"{stats.objects} objects and {stats.object_bytes} bytes arrived"
    return ""


def as_markdown(figures: Sequence[Figures]) -> str:
    """Return the table."""
    lines = [
        "| work | seconds | peak MB | by quarter of the run, MB | requests | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for item in figures:
        quarters = " ".join(f"{value:.0f}" for value in item.quarters)
        lines.append(
            f"| {item.work} | {item.seconds:.0f} | {item.peak:.0f} | {quarters} "
            f"| {item.requests:,} | {item.verdict} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run both; 1 if a goal is missed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(prog="benchmarks.memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="4 GiB and 20,000 files")
    parser.add_argument("--only", choices=("sparse", "tiny"))
    parser.add_argument("--contender", default="ours", choices=[c.name for c in CONTENDERS])
    parser.add_argument("--etag", default="md5", choices=("md5", "opaque"))
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds for each work")
    parser.add_argument("--out", type=Path, default=Path(ROOT) / "benchmarks" / "results")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    extra = dict(item.split("=", 1) for item in given.env)
    figures: list[Figures] = []
    with (
        tempfile.TemporaryDirectory(prefix="s3-uploader-bench-memory-") as folder,
        Sink(given.etag) as sink,
    ):
        for kind in ("sparse", "tiny"):
            if given.only in (None, kind):
                task = _task(kind, folder, quick=given.quick)
                figures.append(observe(sink, given.contender, task, given.timeout, extra))
    given.out.mkdir(parents=True, exist_ok=True)
    listed = json.dumps([asdict(item) for item in figures], indent=1)
    (given.out / "memory.json").write_text(listed, encoding="utf-8")
    print(as_markdown(figures))
    return 0 if all(item.verdict == "met" for item in figures) else 1


def _task(kind: str, folder: str, *, quick: bool) -> Task:
    if kind == "sparse":
        return sparse_file(folder, (4 if quick else 200) * GIB)
    return tiny_files(folder, 20_000 if quick else 1_000_000)


if __name__ == "__main__":
    sys.exit(main())
