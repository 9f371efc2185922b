"""What a user does with outcomes and reports; checked, never run."""

from typing import Literal, assert_type

from s3_uploader import FileOutcome, UploadFailedError, UploadReport, VerifyReport
from s3_uploader.events import Evidence


def sentence(outcome: FileOutcome) -> str:
    assert_type(outcome.status, Literal["committed", "failed", "unknown"])
    assert_type(outcome.verified_by, Evidence)
    match outcome.status:
        case "committed":
            return f"{outcome.key} {outcome.etag} in {outcome.parts} parts"
        case "failed":
            return outcome.message("en")
        case "unknown":
            return outcome.message("zh")


def exit_code(report: UploadReport) -> int:
    for failure in report.failures:
        assert_type(failure, FileOutcome)
    assert_type(report.seconds, float)
    assert_type(report.skipped, tuple[str, ...])
    try:
        report.raise_for_failures()
    except UploadFailedError as error:
        assert_type(error.params["failed"], int | float | str)
        return 1
    return 0


def different(report: VerifyReport) -> list[str]:
    assert_type(report.same + report.different + report.missing + report.failed, int)
    return [file.key for file in report.files]
