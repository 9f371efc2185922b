"""Uploads in processes of their own, through a fault proxy, killed when the test says so."""

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

When = Callable[[], bool]


@dataclass(frozen=True)
class Ended:
    """How a child process ended: what it wrote, nothing if it was killed."""

    killed: bool
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)
    warned: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    errors: str = ""


@dataclass
class Uploading:
    """One upload, to be run as often as the test likes, each time in a new process.

    Attributes:
        path: the file or directory.
        key: key or prefix.
        journal: path of the journal, or "off".
        config: further settings.
        limits: limits of the process, such as {"RLIMIT_NOFILE": 64}.

    `start` and `run` take when to kill it: at the head of a request, by its number from the start
    of this run; likewise when it is finished at the proxy; or as soon as something holds.
    """

    server: Server
    proxy: FaultProxy
    path: Path
    key: str
    journal: str
    config: Mapping[str, Any]
    limits: Mapping[str, int] = field(default_factory=dict)

    def start(
        self, *, killed_at: int = 0, killed_after: int = 0, killed_when: When | None = None
    ) -> "Child":
        task = {
            "profile": asdict(replace(self.server.profile(), endpoint_url=self.proxy.url))
            | {"settings": {}, "warnings": []},
            "config": {"journal": self.journal, **self.config},
            "path": str(self.path),
            "key": self.key,
            "directory": self.path.is_dir(),
            "limits": self.limits,
        }
        return Child(self.proxy, task, killed_at, killed_after, killed_when)

    def run(
        self, *, killed_at: int = 0, killed_after: int = 0, killed_when: When | None = None
    ) -> Ended:
        return self.start(
            killed_at=killed_at, killed_after=killed_after, killed_when=killed_when
        ).wait()


class Child:
    """A process that uploads; `wait` returns once the proxy is done with its requests too."""

    def __init__(
        self,
        proxy: FaultProxy,
        task: Mapping[str, Any],
        killed_at: int,
        killed_after: int,
        killed_when: When | None,
    ) -> None:
        self._proxy = proxy
        before = proxy.count()
        self._sockets = open_sockets()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("child.py"))],
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

    def wait(self) -> Ended:
        output, errors = self._process.communicate(timeout=300)
        # The proxy's connections are ours: once they are gone, nothing of the child is under way.
        until = time.monotonic() + 20
        self._proxy.release()
        while open_sockets() - self._sockets:
            assert time.monotonic() < until, "the proxy still serves a process that has ended"
            time.sleep(0.005)
        if self._process.returncode == SIGKILLED:
            return Ended(killed=True, errors=errors.decode())
        assert self._process.returncode == 0, errors.decode()
        told = json.loads(output)
        warned = [(code, params) for code, params in told["warned"]]
        return Ended(
            killed=False,
            files=told["files"],
            events=told["events"],
            warned=warned,
            errors=errors.decode(),
        )


def rows(journal: Path, table: str = "upload") -> int:
    """Return how many rows the journal has; its WAL may be that of a process that died."""
    with closing(sqlite3.connect(journal)) as database:
        found = database.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        return int(found[0])
