"""What became of an upload: codes of `upload`, `outcome`, `journal`, `integrity`, `verify`."""

TEXTS = {
    # One upload as a whole.
    "upload.foreign": (
        "The multipart upload {upload_id} of '{key}' is not in the journal, so it may be somebody "
        "else's. Pass force=True to abort it anyway."
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
        "A request of {at} to create a multipart upload of '{key}' was not answered with success. "
        "Whether it took effect could not be found out since, and is no longer looked for. If it did, "
        "the upload is open and empty: pending_uploads(foreign=True) lists such, "
        "abort_upload(..., force=True) aborts one."
    ),
    "upload.smaller_parts": (
        "A body of {size} bytes was refused as too large; '{key}' is sent again in smaller parts, "
        "of {part_size} bytes or as few more as the store's limit of parts demands."
    ),
    "upload.size_only": (
        "The store's responses (ETag, checksum) do not tell the bytes of every object; where they "
        "do not, only the size is compared."
    ),
    "upload.stopped": "Not tried: an earlier error stopped the whole upload.",
    "upload.closed_early": "The Uploader was closed while this call was in progress.",
    "upload.failed_file": "The upload of {name} failed: {reason}",
    "upload.unknown_file": "It is not known whether {name} was uploaded: {reason}",
    "upload.failed_files": (
        "{failed} of {total} files are not known to be uploaded; first {name}: {reason}"
    ),
    "upload.closed": "This Uploader is not open. Use it inside 'async with Uploader(...) as uploader:'.",
    # What could not be found out.
    "outcome.unknown": (
        "Whether '{key}' is published, as it was read, could not be found out: {reason} Check "
        "later with verify_file, or upload it again."
    ),
    # The journal.
    "journal.refused": (
        "'{path}' is no journal of s3_uploader ({reason}) and was left as it is: an interrupted upload "
        "will start from scratch. Set S3_UPLOADER_JOURNAL to another path, or to off."
    ),
    "journal.unavailable": (
        "The journal '{path}' cannot be used ({reason}): an upload that is interrupted may have to "
        "start from scratch. Fix or remove it, or set S3_UPLOADER_JOURNAL to another path or to "
        "off."
    ),
    # Evidence.
    "integrity.etag": (
        "What the store says it received of '{key}' differs from the bytes that were read: its "
        "ETag is {actual}, expected {expected}. Do not trust an object there; upload it again."
    ),
    "integrity.checksum": (
        "What the store says it received of '{key}' differs from the bytes that were read: its "
        "CRC-64/NVME is {actual}, expected {expected}. Do not trust an object there; upload it "
        "again."
    ),
    "integrity.no_checksum": (
        "The store does not say whether it verified the CRC-64/NVME of '{key}'; it may not support "
        "this checksum. Set S3_UPLOADER_INTEGRITY to auto or md5 and upload it again."
    ),
    "integrity.damaged": (
        "The object at '{key}' was made by this upload, but is not the file's bytes: its ETag is "
        "{actual}, expected {expected}. Do not trust it; upload it again."
    ),
    "integrity.no_md5": (
        "The ETag {actual} of '{key}' does not tell its bytes, and integrity=md5 demands that. Set "
        "S3_UPLOADER_INTEGRITY to auto, or upload to a store with MD5 ETags."
    ),
    "integrity.parts": (
        "The store refused to publish '{key}': by its account the parts do not make the bytes that "
        "were read (CRC-64/NVME {expected}). Upload it again."
    ),
    "integrity.size": (
        "The store says that '{key}' has {actual} bytes, expected {expected}. Upload it again."
    ),
    # Verification.
    "verify.same": "'{key}' is byte-identical at the store.",
    "verify.different": "'{key}' at the store differs from the local file. Upload it again.",
    "verify.missing": "The store says that it has no '{key}'. Upload it.",
    "verify.failed_file": "The verification of {name} failed: {reason}",
    "verify.failed_files": (
        "{failed} of {total} files are not known to be the same at the store; first {name}: {reason}"
    ),
}
