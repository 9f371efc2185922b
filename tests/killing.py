"""Uploads in processes of their own, through a fault proxy, killed when the test says so."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lanes import Server, open_sockets
from s3_uploader.testing import FaultProxy, Record

SIGKILLED = -9


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
        killed_at: number of the request, from the start of this run, at whose head to kill.
        killed_after: likewise, when it is finished at the proxy.
    """

    server: Server
    proxy: FaultProxy
    path: Path
    key: str
    journal: str
    config: Mapping[str, Any]
    limits: Mapping[str, int] = field(default_factory=dict)

    def start(self, *, killed_at: int = 0, killed_after: int = 0) -> "Child":
        task = {
            "profile": asdict(replace(self.server.profile(), endpoint_url=self.proxy.url))
            | {"settings": {}, "warnings": []},
            "config": {"journal": self.journal, **self.config},
            "path": str(self.path),
            "key": self.key,
            "directory": self.path.is_dir(),
            "limits": self.limits,
        }
        return Child(self.proxy, task, killed_at, killed_after)

    def run(self, *, killed_at: int = 0, killed_after: int = 0) -> Ended:
        return self.start(killed_at=killed_at, killed_after=killed_after).wait()


class Child:
    """A process that uploads; `wait` returns once the proxy is done with its requests too."""

    def __init__(
        self, proxy: FaultProxy, task: Mapping[str, Any], killed_at: int, killed_after: int
    ) -> None:
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
            if record.sequence == before + killed_at:
                self._process.kill()

        def finished(record: Record) -> None:
            if record.sequence == before + killed_after:
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
