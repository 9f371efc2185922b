"""Compile the C programs of the benchmarks, once per change of their source."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

_HERE = Path(__file__).parent
_CACHE = _HERE / ".bin"


def built(name: str) -> str:
    """Return the path of the program made from `name`.c, compiled if it is not there yet.

    libcrypto's MD5 is used where its headers are installed: the sink's own is slower, and it
    shares the machine with what is measured.

    Raises:
        RuntimeError: there is no C compiler, or it fails.
    """
    source = _HERE / f"{name}.c"
    mark = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    program = _CACHE / f"{name}-{mark}"
    if program.exists():
        return str(program)
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise RuntimeError("the benchmarks need a C compiler (cc) for the null sink")
    _CACHE.mkdir(exist_ok=True)
    fresh = f"{program}.{os.getpid()}"
    base = [compiler, "-O2", "-pthread", str(source), "-o", fresh]
    for extra in (["-DHAVE_LIBCRYPTO", "-lcrypto"], []):
        done = subprocess.run([*base, *extra], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            Path(fresh).rename(program)
            return str(program)
    raise RuntimeError(f"cannot compile {source}: {done.stderr}")
