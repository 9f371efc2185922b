"""Print the documented log: a fold over events, which depends on nothing else."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from s3_uploader.consumers.verification import FileComparison
from s3_uploader.events import (
    BytesSent,
    CallFailed,
    CallFinished,
    CallKind,
    CallStarted,
    EntrySkipped,
    Event,
    FileFailed,
    FileStarted,
    FileUnknown,
    FileUploaded,
    FileVerified,
    PartReused,
    RequestRetried,
    ScanFinished,
    Warned,
)
from s3_uploader.messages import Language, text
from s3_uploader.providers import provider_named

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")
_STEP = 1024
_QUARTERS = 4
_FAILURES: Mapping[CallKind, str] = {
    "verify_file": "log.failed_verify",
    "verify_directory": "log.failed_verify",
}
_Outcome = FileUploaded | FileFailed | FileUnknown


def format_size(size: float) -> str:
    """Return bytes in binary units with the documented labels, such as "1.23 GB"."""
    unit = 0
    # Compared as it will be shown, so that 1023.999 KB becomes 1.00 MB and not 1024.00 KB.
    while round(size, 2) >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    return f"{size:.0f} B" if unit == 0 else f"{size:.2f} {_UNITS[unit]}"


def write_stdout(line: str) -> None:
    """Print a line at once, escaping what the terminal's encoding cannot show."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        # The reader of the log has gone (`| head`); the upload continues, and Python's own flush at
        # the end must not fail either (docs.python.org, "Note on SIGPIPE").
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)


@dataclass(slots=True)
class _Progress:
    """Bytes of one file in progress: the latest count of each part, and the sum of all.

    Attributes:
        done: bytes that were sent now or were at the store before.
        reused: bytes of each part that was at the store before: they do not count for the speed.
    """

    size: int
    began: float
    parts: dict[int, int] = field(default_factory=dict)
    reused: dict[int, int] = field(default_factory=dict)
    done: int = 0
    shown: int = 0

    def add(self, part: int, sent: int) -> None:
        """Record that the current attempt of a part has sent `sent` bytes."""
        self.reused.pop(part, None)
        self._note(part, sent)

    def reuse(self, part: int, size: int) -> None:
        """Record a part that need not be sent."""
        self.reused[part] = size
        self._note(part, size)

    def _note(self, part: int, done: int) -> None:
        self.done += done - self.parts.get(part, 0)
        self.parts[part] = done


class LogConsumer:
    """Print the log of one call; the log of an upload has the shape of the contract.

    The upload of a file shows its progress at each quarter. The upload of a directory shows `[i/n]`
    for each file in order of completion, as soon as the number of files is known. A verification
    shows one line for each file.

    Args:
        language: "zh" (the contract's) or "en".
        write: receives one or more lines, without the end of the last; default prints to stdout.
    """

    def __init__(
        self, language: Language = "zh", write: Callable[[str], None] = write_stdout
    ) -> None:
        self._language = language
        self._write = write
        self._started: CallStarted | None = None
        self._progress: _Progress | None = None
        self._scanned = False
        self._total = 0
        self._success = 0
        self._failed = 0
        self._unknown = 0
        self._linked = 0
        self._outside = 0
        self._held: list[_Outcome] = []

    def __call__(self, event: Event) -> None:
        """Print what the event adds to the log."""
        match event:
            case CallStarted():
                self._started = event
            case Warned(code=code, params=params):
                self._say("log.warning", reason=text(self._language, code, params))
            case CallFailed(code=code, params=params):
                failure = _FAILURES.get(event.kind, "log.failed")
                self._say(failure, reason=text(self._language, code, params))
            case FileVerified():
                self._compared(FileComparison.of(event))
            case _ if self._started is None:
                pass
            case _ if self._started.kind == "upload_file":
                self._file_event(event, self._started)
            case _ if self._started.kind == "upload_directory":
                self._directory_event(event, self._started)
            case _:
                pass

    # ------------------------------------------------------------------------------ one file

    def _file_event(self, event: Event, started: CallStarted) -> None:
        match event:
            case FileStarted() if self._progress is None:
                self._progress = _Progress(event.size, event.at)
                self._say("log.file", path=started.source, size=format_size(event.size))
                self._store("log.store", started)
                self._say("log.target", key=event.key, url=_url(started, event.key))
                self._pod_path(started, event.key)
                self._say("log.start_file")
            case BytesSent() if self._progress is not None:
                self._progress.add(event.part, event.sent)
                self._show_progress(self._progress, event.at)
            case FileUploaded():
                self._file_done(event)
            case PartReused() if self._progress is not None:
                self._progress.reuse(event.part, event.size)
            case FileFailed(code=code, params=params):
                self._say("log.failed", reason=text(self._language, code, params))
            case FileUnknown(code=code, params=params):
                self._say("log.unknown", reason=text(self._language, code, params))
            case RequestRetried():
                self._retried(event)
            case _:
                pass

    def _show_progress(self, progress: _Progress, now: float) -> None:
        """Show each quarter once, except the last, which is shown with the commit."""
        quarter = progress.done * _QUARTERS // max(progress.size, 1)
        if progress.shown < quarter < _QUARTERS:
            progress.shown = quarter
            sent = progress.done - sum(progress.reused.values())
            speed = _speed(sent, now - progress.began)
            self._progress_line(progress.done, progress.size, speed)

    def _progress_line(self, sent: int, size: int, speed: str) -> None:
        self._say(
            "log.progress",
            percent=100 * sent / size if size else 100.0,
            done=format_size(sent),
            size=format_size(size),
            speed=speed,
        )

    def _file_done(self, event: FileUploaded) -> None:
        began = self._progress.began if self._progress else event.at - event.seconds
        moved = event.size - event.reused
        self._progress_line(event.size, event.size, _speed(moved, event.at - began))
        if event.reused:
            self._say("log.reused", size=format_size(event.reused))
        self._say("log.file_done", seconds=event.seconds, speed=_speed(moved, event.seconds))

    # --------------------------------------------------------------------------- a directory

    def _directory_event(self, event: Event, started: CallStarted) -> None:
        match event:
            case ScanFinished():
                self._directory_header(event, started)
            case FileUploaded() | FileFailed() | FileUnknown() if self._scanned:
                self._item(event, started)
            case FileUploaded() | FileFailed() | FileUnknown():
                self._held.append(event)
            case EntrySkipped(name=name, code=code, params=params):
                self._say("log.skipped", name=name, reason=text(self._language, code, params))
            case RequestRetried():
                self._retried(event)
            case CallFinished() if self._scanned:
                self._summary()
            case _:
                pass

    def _summary(self) -> None:
        counts = {"success": self._success, "failed": self._failed}
        self._say("log.summary", total=sum(counts.values()), **counts)
        if self._unknown:
            self._say("log.summary_unknown", unknown=self._unknown)
        if self._linked:
            self._say("log.summary_linked", linked=self._linked, outside=self._outside)

    def _directory_header(self, event: ScanFinished, started: CallStarted) -> None:
        self._scanned = True
        self._total = event.files
        self._linked, self._outside = event.linked, event.outside
        size = format_size(event.size)
        self._say("log.directory", path=started.source, files=event.files, size=size)
        self._store("log.store_short", started)
        self._pod_path(started, started.target)
        self._say("log.start_directory", files=event.files)
        for held in self._held:
            self._item(held, started)
        self._held.clear()

    def _item(self, event: _Outcome, started: CallStarted) -> None:
        self._success += isinstance(event, FileUploaded)
        self._failed += not isinstance(event, FileUploaded)
        self._unknown += isinstance(event, FileUnknown)
        index = self._success + self._failed
        lines = [
            self._text("log.item", index=index, total=self._total, name=event.name),
            self._text("log.item_target", url=_url(started, event.key)),
        ]
        if isinstance(event, FileUploaded):
            if event.reused:
                lines.append(self._text("log.reused", size=format_size(event.reused)))
            lines.append(self._text("log.item_ok"))
        else:
            reason = text(self._language, event.code, event.params)
            code = "log.item_failed" if isinstance(event, FileFailed) else "log.item_unknown"
            lines.append(self._text(code, reason=reason))
        self._write("\n".join(lines))

    # -------------------------------------------------------------------------------- shared

    def _compared(self, file: FileComparison) -> None:
        code = "log.verified" if file.same else "log.not_verified"
        self._say(code, name=file.name, reason=file.message(self._language))

    def _store(self, code: str, started: CallStarted) -> None:
        self._say(code, endpoint=started.endpoint, region=started.region, bucket=started.bucket)

    def _pod_path(self, started: CallStarted, key: str) -> None:
        """Log where a pod sees the key, and how to avoid a folder named like the mount."""
        provider = provider_named(started.provider)
        path = provider.where_seen(key)
        if not path:
            return
        self._say("log.pod_path", path=path)
        if f"/{key}".startswith(f"{provider.mount}/"):
            folder = f"/{key}".removeprefix(f"{provider.mount}/").split("/")[0]
            where = {"store": provider.title, "mount": provider.mount}
            better = provider.where_seen(folder)
            self._say("log.pod_hint", subdir=f"/{folder}", better=better, **where)
        self._write("")

    def _retried(self, event: RequestRetried) -> None:
        self._say(
            "log.retry",
            operation=event.operation,
            name=event.key,
            reason=text(self._language, event.code, event.params),
            delay=event.delay,
            attempt=event.attempt + 1,
        )

    def _say(self, code: str, **params: object) -> None:
        self._write(self._text(code, **params))

    def _text(self, code: str, **params: object) -> str:
        return text(self._language, code, params)


def _url(started: CallStarted, key: str) -> str:
    return f"s3://{started.bucket}/{key}"


def _speed(size: int, seconds: float) -> str:
    return format_size(size / seconds if seconds > 0 else 0)
