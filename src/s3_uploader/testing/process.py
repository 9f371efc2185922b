"""A server process for a block: it never outlives the block, nor this process if that is killed."""

import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from s3_uploader.errors import ServerError

_START_SECONDS = 60.0
_POLL_SECONDS = 0.05
_TAIL_BYTES = 4096
_TAIL_LINES = 5

# Standard input is a pipe that only this process can write to, and it never does: the pipe ends
# when it ends, however that happens. (Linux's own signal for it, PR_SET_PDEATHSIG, comes at the
# end of the thread that started the server, and setting it needs code between fork and exec.)
# `$$` is the server. It may be writing until it is dead: what is removed is removed twice.
_GUARDED = """\
exec 3<&0 </dev/null
{ read -r _ <&3; kill -KILL $$; rm -rf -- %s; rm -rf -- %s; kill -KILL 0; } &
exec "$@" 3<&-
"""


class ServerProcess:
    """A command in its own session, so that Ctrl-C ends it after its clients.

    Args:
        command: program and arguments.
        folder: its working directory; None for that of this process.
        environ: its environment; None for that of this process.
        grace: seconds it has to end itself before it is killed; 0 kills it at once.
        orphans: files and directories to remove if this process is killed; the block's end
            leaves them alone.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: str | os.PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        grace: float = 5.0,
        orphans: Sequence[str | os.PathLike[str]] = (),
    ) -> None:
        removed = shlex.join(str(orphan) for orphan in orphans)
        self._command = ["/bin/sh", "-c", _GUARDED % (removed, removed), "sh", *command]
        self._folder = folder
        self._environ = environ
        self._grace = grace
        self._stack = ExitStack()
        self._log = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        """The last 4 KiB of standard output and standard error."""
        start = max(0, os.fstat(self._log).st_size - _TAIL_BYTES)
        # Not by read(): the place in the file is the server's as well.
        return os.pread(self._log, _TAIL_BYTES, start).decode(errors="replace")

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Return once `ready` does so with True.

        Raises:
            ServerError: the process ended, or 60 s passed; names the end of its output.
        """
        process = self._process
        assert process is not None, "not entered"  # noqa: S101  (for the type)
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if ready():
                return
            time.sleep(_POLL_SECONDS)
        tail = " | ".join(self.output.strip().splitlines()[-_TAIL_LINES:])
        raise ServerError("server.start", detail=tail or "no output")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            log = stack.enter_context(tempfile.TemporaryFile())
            self._log = log.fileno()
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with self._stack, process:  # leaving `process` closes the pipe and waits
            if self._grace:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(self._grace)
            # The whole group: the guard as well.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
