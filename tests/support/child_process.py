"""Uploads in child processes, through a fault proxy, killed when the test says so."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lanes import Server, open_sockets
from s3_uploader.testing import FaultProxy, Record

SIGKILLED = -9

Condition = Callable[[], bool]


@dataclass(frozen=True)
class ChildResult:
    """The output of a child process, or that it was killed."""

    killed: bool
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)
    warned: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    errors: str = ""


@dataclass
class ChildUpload:
    """One upload, run as often as the test likes, each time in a new process.

    Attributes:
        path: the file or directory.
        key: key or prefix.
        journal: path of the journal, or "off".
        config: further settings.
        limits: limits of the process, such as {"RLIMIT_NOFILE": 64}.

    `start` and `run` kill the process if asked to: at the head of the n-th request of this run
    (`killed_at`), when the proxy has finished that request (`killed_after`), or at the first
    request at which a condition holds (`killed_when`).
    """

    server: Server
    proxy: FaultProxy
    path: Path
    key: str
    journal: str
    config: Mapping[str, Any]
    limits: Mapping[str, int] = field(default_factory=dict)

    def start(
        self, *, killed_at: int = 0, killed_after: int = 0, killed_when: Condition | None = None
    ) -> "ChildProcess":
        task = {
            "profile": asdict(replace(self.server.profile(), endpoint_url=self.proxy.url))
            | {"settings": {}, "warnings": []},
            "config": {"journal": self.journal, **self.config},
            "path": str(self.path),
            "key": self.key,
            "directory": self.path.is_dir(),
            "limits": self.limits,
        }
        return ChildProcess(self.proxy, task, killed_at, killed_after, killed_when)

    def run(
        self, *, killed_at: int = 0, killed_after: int = 0, killed_when: Condition | None = None
    ) -> ChildResult:
        return self.start(
            killed_at=killed_at, killed_after=killed_after, killed_when=killed_when
        ).wait()


class ChildProcess:
    """A process that uploads; `wait` returns once the proxy has finished its requests too."""

    def __init__(
        self,
        proxy: FaultProxy,
        task: Mapping[str, Any],
        killed_at: int,
        killed_after: int,
        killed_when: Condition | None,
    ) -> None:
        self._proxy = proxy
        before = proxy.count()
        self._sockets = open_sockets()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("uploading_child.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )

        def arrived(record: Record) -> None:
            if record.sequence == before + killed_at or (killed_when and killed_when()):
                self._process.kill()

        def finished(record: Record) -> None:
            if record.sequence == before + killed_after or (killed_when and killed_when()):
                self._process.kill()

        proxy.hook, proxy.on_request = arrived, finished
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(task).encode())
        self._process.stdin.close()
        self._process.stdin = None

    def wait(self) -> ChildResult:
        output, errors = self._process.communicate(timeout=300)
        # The proxy's connections are of this process: once closed, no request is in progress.
        until = time.monotonic() + 20
        self._proxy.release()
        while open_sockets() - self._sockets:
            assert time.monotonic() < until, "the proxy still serves a process that has ended"
            time.sleep(0.005)
        if self._process.returncode == SIGKILLED:
            return ChildResult(killed=True, errors=errors.decode())
        assert self._process.returncode == 0, errors.decode()
        found = json.loads(output)
        warned = [(code, params) for code, params in found["warned"]]
        return ChildResult(
            killed=False,
            files=found["files"],
            events=found["events"],
            warned=warned,
            errors=errors.decode(),
        )


def count_rows(journal: Path, table: str = "upload") -> int:
    """Return how many rows the journal has; a process that was killed may have left its WAL."""
    with closing(sqlite3.connect(journal)) as database:
        found = database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        return int(found[0])
