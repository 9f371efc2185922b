"""What a user may get wrong: both checkers have to say so, or the comment is an error itself."""

from s3_uploader import FileOutcome, UploadConfig, Uploader, upload_file
from s3_uploader.events import Event


def takes_text(_event: str) -> None: ...


async def mistakes(uploader: Uploader, outcome: FileOutcome, event: Event) -> None:
    upload_file(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Uploader(confg=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    UploadConfig(integrity="sha1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    outcome.size = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    if outcome.status == "done":  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
        return
    print(event.key)  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    wrong = [takes_text]
    await uploader.upload_file("f", consumers=wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    uploader.upload_file("f")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
