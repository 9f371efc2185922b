"""The values a verification returns: what was found of a file, and of all files."""

from pathlib import Path

import pytest

import s3_uploader
from s3_uploader import (
    FileComparison,
    RecordConsumer,
    Uploader,
    VerifyFailedError,
    VerifyReport,
)
from s3_uploader.consumers import ReportBuilder, VerifyBuilder
from s3_uploader.events import CallFinished, FileFailed, FileVerified, VerifyResult
from s3_uploader.messages import Language
from s3_uploader.testing import MemoryStore
from trees import make_tree


def _verified(result: VerifyResult, name: str = "a", code: str = "") -> FileVerified:
    return FileVerified(
        call=1,
        at=0.0,
        file=0,
        name=name,
        key=f"p/{name}",
        size=3,
        result=result,
        verified_by="etag-md5" if result == "same" else "none",
        code=code,
        params={"path": "/a"} if code else {},
    )


def _report(*events: FileVerified) -> VerifyReport:
    builder = VerifyBuilder()
    for event in events:
        builder(event)
    builder(CallFinished(call=1, at=9.0, seconds=1.5))
    return builder.report()


def test_both_values_are_exported() -> None:
    assert {"FileComparison", "VerifyReport", "VerifyFailedError"} <= set(s3_uploader.__all__)


def test_comparison_holds_what_was_found() -> None:
    found = FileComparison.of(_verified("same"))
    assert (found.name, found.key, found.size) == ("a", "p/a", 3)
    assert (found.result, found.verified_by, found.code) == ("same", "etag-md5", "")
    assert found.same
    found.raise_for_difference()


@pytest.mark.parametrize(
    ("result", "code", "language", "words"),
    [
        ("same", "", "en", "'p/a' at the store is byte-identical"),
        ("different", "", "en", "'p/a' at the store differs"),
        ("missing", "", "en", "no 'p/a'"),
        ("failed", "source.missing", "en", "'/a' does not exist"),
        ("failed", "source.missing", "zh", "“/a”不存在"),
    ],
)
def test_comparison_is_a_sentence(
    result: VerifyResult, code: str, language: Language, words: str
) -> None:
    found = FileComparison.of(_verified(result, code=code))
    assert words in found.message(language)
    if result != "same":
        assert not found.same
        with pytest.raises(VerifyFailedError, match=r"The verification of a failed: .*/a'"):
            found.raise_for_difference()


def test_report_counts_and_names_the_first_that_is_not_the_same() -> None:
    report = _report(_verified("same"), _verified("missing", "b"), _verified("different", "c"))
    assert (report.same, report.different, report.missing, report.failed) == (1, 1, 1, 0)
    assert (report.total, report.seconds, report.ok) == (3, 1.5, False)
    assert [(file.name, file.result) for file in report.files] == [
        ("b", "missing"),
        ("c", "different"),
    ]
    with pytest.raises(VerifyFailedError, match=r"2 of 3 files.*first is b: .*no 'p/b'"):
        report.raise_for_failures()


def test_report_of_files_that_are_all_the_same_raises_nothing() -> None:
    report = _report(_verified("same"), _verified("same", "b"))
    assert report.ok
    report.raise_for_failures()


def test_reprs_are_one_short_line_however_many_files() -> None:
    names = [f"{number}" for number in range(1000)]
    verified = _report(*(_verified("missing", name) for name in names))
    assert repr(verified) == (
        "VerifyReport(same=0, different=0, missing=1000, failed=0, seconds=1.5)"
    )
    builder = ReportBuilder()
    for name in names:
        builder(
            FileFailed(
                call=1,
                at=0.0,
                file=0,
                name=name,
                key=name,
                size=1,
                code="source.missing",
                params={"path": "x" * 1000},
                seconds=0.1,
            )
        )
    for value in (verified.files[0], builder.report(), builder.report().files[0]):
        assert len(repr(value)) < 250


def test_records_name_what_is_not_the_same(caplog: pytest.LogCaptureFixture) -> None:
    consumer = RecordConsumer("en")
    consumer(_verified("same"))
    consumer(_verified("missing", "b"))
    (record,) = caplog.records
    assert record.getMessage() == "b: The store says that it has no 'p/b'. Upload it."


@pytest.mark.anyio
async def test_uploader_returns_these_values(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a": 1, "b": 1})
    async with Uploader(store=MemoryStore()) as uploader:
        await uploader.upload_file(tmp_path / "a", "p/a")
        found = await uploader.verify_file(tmp_path / "a", "p/a")
        report = await uploader.verify_directory(tmp_path, "p")
    assert isinstance(found, FileComparison)
    assert (found.name, found.key, found.size, found.result) == ("a", "p/a", 1, "same")
    assert [type(file) for file in report.files] == [FileComparison]
    assert report.files[0].result == "missing"
    assert report.seconds > 0
