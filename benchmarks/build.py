"""Compile the C programs of the benchmarks, once per change of their source."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

_HERE = Path(__file__).parent
_CACHE = _HERE / ".bin"


def find_compiler() -> str | None:
    """Return the path of a C compiler, None if there is none."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def built(name: str) -> str:
    """Return the path of the program made from `name`.c, or from the C files of the folder `name`.

    It is compiled if it is not there yet.

    Raises:
        RuntimeError: there is no C compiler, or it fails.
    """
    folder = _HERE / name
    sources = sorted(folder.glob("*.c")) if folder.is_dir() else [_HERE / f"{name}.c"]
    program = _CACHE / f"{name}-{_mark([*sources, *sorted(folder.glob('*.h'))])}"
    if program.exists():
        return str(program)
    compiler = find_compiler()
    if compiler is None:
        raise RuntimeError("the benchmarks need a C compiler (cc) for their null sink")
    _CACHE.mkdir(exist_ok=True)
    # Under its own name first: another process may be compiling the same.
    fresh = f"{program}.{os.getpid()}"
    # -ldl: before glibc 2.34, dlopen is not in libc.
    command = [compiler, "-O2", "-pthread", *map(str, sources), "-o", fresh, "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"cannot compile {name}: {done.stderr}")
    Path(fresh).rename(program)
    return str(program)


def _mark(files: list[Path]) -> str:
    """Return a few letters that change with the text of any of the files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
