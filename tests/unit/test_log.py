"""What the log claims: speeds of what was sent now, and no word more than is known."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from s3_uploader import FileOutcome, UploadFailedError, verify_directory, verify_file
from s3_uploader.consumers import LogConsumer, ReportBuilder
from s3_uploader.events import (
    BytesSent,
    CallFinished,
    CallKind,
    CallStarted,
    Event,
    FileStarted,
    FileUnknown,
    FileUploaded,
    PartReused,
    ScanFinished,
)
from s3_uploader.messages import en, zh
from s3_uploader.sizes import MIB


def _started(kind: CallKind) -> CallStarted:
    return CallStarted(
        call=1,
        at=0.0,
        kind=kind,
        source="/src",
        target="t",
        endpoint="http://h",
        region="r",
        bucket="b",
        provider="generic",
    )


def _uploaded(size: int, reused: int, seconds: float, file: int = 0) -> FileUploaded:
    return FileUploaded(
        call=1,
        at=seconds,
        file=file,
        name="m",
        key="m",
        size=size,
        etag="e",
        parts=4,
        verified_by="etag-md5",
        lane="memory",
        seconds=seconds,
        reused=reused,
    )


def _unknown() -> FileUnknown:
    return FileUnknown(
        call=1,
        at=1.0,
        file=9,
        name="u",
        key="u",
        size=1,
        code="outcome.unknown",
        params={"key": "u", "reason": "…"},
        seconds=0.1,
    )


def _fold(*events: Event) -> list[str]:
    lines: list[str] = []
    log = LogConsumer("en", lines.append)
    for event in events:
        log(event)
    return "\n".join(lines).split("\n")


def _sent(part: int, sent: int, at: float) -> BytesSent:
    return BytesSent(call=1, at=at, file=0, part=part, sent=sent)


def _speeds(lines: list[str]) -> list[str]:
    return [found[1] for line in lines if (found := re.search(r"([\d.-]+ [KM]?B)/s$", line))]


_FILE = FileStarted(call=1, at=0.0, file=0, name="m", key="m", size=4 * MIB)


def _reused(part: int, at: float) -> PartReused:
    return PartReused(call=1, at=at, file=0, part=part, size=MIB)


def test_reused_parts_do_not_count_for_the_speed() -> None:
    lines = _fold(
        _started("upload_file"),
        _FILE,
        _reused(1, 0.001),
        _reused(2, 0.001),
        _sent(3, MIB, 1.0),
        _sent(4, MIB, 2.0),
        _uploaded(4 * MIB, 2 * MIB, 2.0),
    )
    assert _speeds(lines) == ["1.00 MB", "1.00 MB", "1.00 MB"]
    assert any("75.0% (3.00 MB / 4.00 MB) - 1.00 MB/s" in line for line in lines)


def test_part_the_store_has_lost_counts_again_when_it_is_sent() -> None:
    """The speed would else be made of what is still missing."""
    lines = _fold(
        _started("upload_file"),
        _FILE,
        *[_reused(part, 0.001) for part in (1, 2)],
        _sent(1, MIB // 2, 0.5),
        _sent(1, MIB, 1.0),
        _sent(3, MIB, 2.0),
    )
    assert _speeds(lines) == ["1.00 MB"] * 3
    assert any("75.0% (3.00 MB / 4.00 MB) - 1.00 MB/s" in line for line in lines)


def test_file_reused_whole_has_no_speed() -> None:
    lines = _fold(_started("upload_file"), _FILE, _uploaded(4 * MIB, 4 * MIB, 0.01))
    assert [line for line in lines if line.endswith("- 0 B/s")]
    assert [line for line in lines if line.endswith("speed: 0 B/s")]


def test_report_distinguishes_sent_and_reused_bytes() -> None:
    builder = ReportBuilder()
    for event in (_uploaded(4 * MIB, MIB, 1.0), _uploaded(MIB, MIB, 1.0, 1), _unknown()):
        builder(event)
    report = builder.report()
    assert (report.size, report.reused) == (5 * MIB, 2 * MIB)


def test_summary_says_how_many_of_the_failed_are_unknown() -> None:
    scan = ScanFinished(call=1, at=0.0, files=2, size=2)
    end = CallFinished(call=1, at=1.0, seconds=1)
    lines = _fold(_started("upload_directory"), scan, _uploaded(1, 0, 1.0), _unknown(), end)
    assert lines[-2:] == ["   Failed: 1", "   Of these, outcome unknown: 1"]
    assert "unknown" not in _fold(_started("upload_directory"), scan, _uploaded(1, 0, 1.0), end)[-1]


@pytest.mark.parametrize(("unknown", "words"), [(True, "not known whether"), (False, "failed")])
def test_unknown_outcome_is_not_raised_as_a_failure(*, unknown: bool, words: str) -> None:
    outcome = FileOutcome(
        name="f", key="k", size=1, seconds=0.1, error="upload.closed", unknown=unknown
    )
    with pytest.raises(UploadFailedError, match=words):
        outcome.raise_for_failure()


@pytest.mark.parametrize("verify", [verify_file, verify_directory])
def test_verification_that_cannot_begin_is_not_called_an_upload(
    verify: Callable[[Path], object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not getattr(verify(tmp_path), "get", lambda _: False)("same")
    out = capsys.readouterr().out
    assert out.startswith("❌ 校验失败: ")
    assert "上传失败: " not in out


@pytest.mark.parametrize("code", ["outcome.unknown", "source.changed", "source.vanished"])
def test_no_message_claims_what_was_sent_or_published(code: str) -> None:
    """They are also raised where a body went in part, or an earlier attempt may have succeeded."""
    for claim in ("All bytes", "Nothing was published", "全部发送", "没有发布"):
        assert claim not in en.TEXTS[code] + zh.TEXTS[code]
    assert ("verify_file" in en.TEXTS[code]) == (code == "outcome.unknown")


def test_chinese_uses_one_term_for_each_thing_and_one_kind_of_quotes() -> None:
    text = "".join(zh.TEXTS.values())
    prose = re.sub(r"(pip install|chmod 600) '[^']*'", "", text)
    for other in ("分段", "答复", "应答", "回答", "上传日志", "'", "‘", "「"):
        assert other not in prose
    assert not re.search(r"(?<!=) “|” ", prose)
