"""What became of an upload: codes of `upload`, `outcome`, `journal`, `integrity`, `verify`."""

TEXTS = {
    # One upload as a whole.
    "upload.foreign": (
        "The multipart upload {upload_id} of '{key}' is not in the journal and may belong to "
        "someone else. Pass force=True to abort it anyway."
    ),
    "upload.active": (
        "The multipart upload {upload_id} of '{key}' is in progress, in this process or another. "
        "Stop it first."
    ),
    "upload.kept": (
        "The multipart upload of '{key}' is kept: the next upload of the same file to the same key "
        "can resume it."
    ),
    "upload.lost_create": (
        "The request of {at} to create a multipart upload of '{key}' got no successful response. "
        "Whether it took effect could not be determined, and the search for it has ended. If it did, "
        "the upload is open and empty: pending_uploads(foreign=True) lists such uploads, "
        "abort_upload(..., force=True) aborts one."
    ),
    "upload.smaller_parts": (
        "A body of {size} bytes was refused as too large; '{key}' is re-sent in smaller parts of "
        "{part_size} bytes, or slightly more if the store's part limit requires it."
    ),
    "upload.size_only": (
        "The store's responses (ETag, checksum) do not prove the content of every object; where they "
        "do not, only the size is compared."
    ),
    "upload.stopped": "Not attempted: an earlier error stopped the whole upload.",
    "upload.closed_early": "The Uploader was closed while this call was in progress.",
    "upload.failed_file": "The upload of {name} failed: {reason}",
    "upload.unknown_file": "It is not known whether {name} was uploaded: {reason}",
    "upload.failed_files": (
        "{failed} of {total} files are not known to be uploaded; the first is {name}: {reason}"
    ),
    "upload.closed": "This Uploader is not open. Use it inside 'async with Uploader(...) as uploader:'.",
    # Unknown outcomes.
    "outcome.unknown": (
        "It could not be determined whether '{key}' was published as it was read: {reason} Check later "
        "with verify_file, or upload it again."
    ),
    # The journal.
    "journal.refused": (
        "'{path}' is not an s3_uploader journal ({reason}) and was left as it is: an interrupted upload "
        "will start from scratch. Set S3_UPLOADER_JOURNAL to another path, or to off."
    ),
    "journal.unavailable": (
        "The journal '{path}' cannot be used ({reason}): an interrupted upload may have to start from "
        "scratch. Fix or remove it, or set S3_UPLOADER_JOURNAL to another path, or to off."
    ),
    # Evidence.
    "integrity.etag": (
        "What the store says it received of '{key}' differs from the bytes that were read: its "
        "ETag is {actual}, expected {expected}. Do not trust an object there; upload it again."
    ),
    "integrity.checksum": (
        "What the store says it received of '{key}' differs from the bytes that were read: its "
        "{algorithm} is {actual}, expected {expected}. Do not trust an object there; upload it "
        "again."
    ),
    "integrity.no_checksum": (
        "The store does not say whether it verified the {algorithm} of '{key}'; it may not support "
        "this checksum. Set S3_UPLOADER_INTEGRITY to auto or md5 and upload it again."
    ),
    "integrity.damaged": (
        "The object at '{key}' was created by this upload, but differs from the file: its ETag is "
        "{actual}, expected {expected}. Do not trust it; upload it again."
    ),
    "integrity.no_md5": (
        "The ETag {actual} of '{key}' does not prove its content, which integrity=md5 requires. Set "
        "S3_UPLOADER_INTEGRITY to auto, or upload to a store whose ETags are MD5."
    ),
    "integrity.parts": (
        "The store refused to publish '{key}': it says that the assembled parts differ from the bytes "
        "that were read ({algorithm} {expected}). Upload it again."
    ),
    "integrity.size": (
        "The store says that '{key}' has {actual} bytes, expected {expected}. Upload it again."
    ),
    # Verification.
    "verify.same": "'{key}' at the store is byte-identical to the local file.",
    "verify.different": "'{key}' at the store differs from the local file. Upload it again.",
    "verify.missing": "The store says that it has no '{key}'. Upload it.",
    "verify.failed_file": "The verification of {name} failed: {reason}",
    "verify.failed_files": (
        "{failed} of {total} files are not known to be the same at the store; the first is {name}: "
        "{reason}"
    ),
}
