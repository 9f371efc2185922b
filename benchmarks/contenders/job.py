"""What a Python contender is asked to do: read from its arguments and the environment."""

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple


class Item(NamedTuple):
    """One file to upload."""

    path: str
    key: str
    size: int


class Job(NamedTuple):
    """The work; the same arguments for every contender.

    Attributes:
        endpoint, bucket: where to.
        source: a directory, or a file if `kind` is "file".
        prefix: keys are `prefix`/<path below the directory, or the file's name>.
        kind: "dir" or "file".
    """

    endpoint: str
    bucket: str
    source: str
    prefix: str
    kind: str

    @classmethod
    def from_argv(cls) -> "Job":
        """Read the five arguments."""
        return cls(*sys.argv[1:6])

    @property
    def access_key(self) -> str:
        """The key pair is in AWS's variables, which most contenders read themselves."""
        return os.environ["AWS_ACCESS_KEY_ID"]

    @property
    def secret_key(self) -> str:
        """As `access_key`."""
        return os.environ["AWS_SECRET_ACCESS_KEY"]

    @property
    def region(self) -> str:
        """Region to sign for."""
        return os.environ["AWS_REGION"]

    @property
    def ca_bundle(self) -> str | None:
        """PEM file of the authority to trust, None for http."""
        return os.environ.get("BENCH_CA") or None

    def items(self) -> Iterator[Item]:
        """Yield the files, found by the fastest plain walk Python has."""
        if self.kind == "file":
            name = os.path.basename(self.source)
            yield Item(self.source, f"{self.prefix}/{name}", os.stat(self.source).st_size)
            return
        waiting = [(self.source, self.prefix)]
        while waiting:
            folder, key = waiting.pop()
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir():
                        waiting.append((entry.path, f"{key}/{entry.name}"))
                    else:
                        yield Item(entry.path, f"{key}/{entry.name}", entry.stat().st_size)
