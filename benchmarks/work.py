"""The scenarios and the files they upload: made once, read once so that the page cache has them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
FILES_PER_FOLDER = 500


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is uploaded.

    Attributes:
        name: on the command line.
        sizes: (count, bytes) groups of the full and of the quick size.
        servers: where it runs unless told otherwise; `quick_servers` in a quick run.
        kind: "file" for one file given by its own path, "dir" for a directory.
    """

    name: str
    sizes: tuple[tuple[int, int], ...]
    quick_sizes: tuple[tuple[int, int], ...]
    servers: tuple[str, ...]
    quick_servers: tuple[str, ...]
    kind: str = "dir"

    def groups(self, *, quick: bool) -> tuple[tuple[int, int], ...]:
        """Return the (count, bytes) groups."""
        return self.quick_sizes if quick else self.sizes

    def label(self, *, quick: bool) -> str:
        """Return the sizes in words, as "20,000 × 4 KiB"."""
        groups = self.groups(quick=quick)
        return " + ".join(f"{count:,} × {in_words(size)}" for count, size in groups)


_FAST = ("sink-md5", "sink-opaque", "seaweed-http", "seaweed-https")

SCENARIOS = (
    Scenario(
        "small",
        ((20_000, 4 * KIB),),
        ((600, 4 * KIB),),
        _FAST,
        ("sink-md5", "seaweed-https"),
    ),
    Scenario("medium", ((10_000, 256 * KIB),), ((200, 256 * KIB),), _FAST, ()),
    Scenario(
        "large",
        ((1, 2 * GIB),),
        ((1, 256 * MIB),),
        _FAST,
        ("sink-md5", "sink-opaque"),
        kind="file",
    ),
    Scenario(
        "model",
        ((4, 512 * MIB), (60, 16 * KIB)),
        ((4, 32 * MIB), (60, 16 * KIB)),
        _FAST,
        (),
    ),
    Scenario("wan-small", ((2_000, 4 * KIB),), ((200, 4 * KIB),), ("wan",), ("wan",)),
    Scenario("wan-large", ((1, 256 * MIB),), ((1, 24 * MIB),), ("wan",), (), kind="file"),
)


@dataclass(frozen=True, slots=True)
class Work:
    """Files on disk, ready to upload.

    Attributes:
        source: the directory, or the file.
        kind: "dir" or "file".
        sizes: bytes of each object by its key below the prefix.
    """

    source: str
    kind: str
    sizes: dict[str, int]

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(self.sizes.values())


def in_words(size: int) -> str:
    """Return bytes as a whole number of the largest binary unit."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


@contextmanager
def work_tree(scenario: Scenario, root: str, *, quick: bool) -> Iterator[Work]:
    """Make the scenario's files below `root` and delete them at the end.

    Raises:
        RuntimeError: the disk has no room for them.
    """
    groups = scenario.groups(quick=quick)
    total = sum(count * max(size, 4 * KIB) for count, size in groups)
    if shutil.disk_usage(root).free < total + GIB:
        raise RuntimeError(f"{root} has no room for {in_words(total)}; set TMPDIR elsewhere")
    folder = os.path.join(root, scenario.name)
    os.makedirs(folder)
    try:
        pool = os.urandom(8 * MIB)
        sizes: dict[str, int] = {}
        for number, (count, size) in enumerate(groups):
            for index in range(count):
                name = f"group{number}/{index // FILES_PER_FOLDER:03}/file{index:06}.bin"
                _write(os.path.join(folder, name), size, pool, index)
                sizes[name] = size
        _warm(folder)
        if scenario.kind == "file":
            (name,) = sizes
            yield Work(os.path.join(folder, name), "file", {os.path.basename(name): sizes[name]})
        else:
            yield Work(folder, "dir", sizes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(path: str, size: int, pool: bytes, seed: int) -> None:
    """Write bytes that no two files and no two MiB of a file have in common."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb", buffering=0) as file:
        written = 0
        while written < size:
            stamp = (seed << 32 | written // MIB).to_bytes(8, "big")
            start = (seed * 4099 + written // MIB * 65537) % (len(pool) - MIB)
            written += file.write((stamp + pool[start : start + MIB - 8])[: size - written])


def _warm(folder: str) -> None:
    buffer = bytearray(MIB)
    for place, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(place, name), "rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass
