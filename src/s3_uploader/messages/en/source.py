"""What is uploaded, and to which key: codes of `source`, `key` and `plan`."""

TEXTS = {
    # Paths and files.
    "source.missing": "'{path}' does not exist. Check the path.",
    "source.is_directory": "'{path}' is a directory. Use upload_directory or verify_directory.",
    "source.not_directory": (
        "'{path}' is a file, not a directory. Use upload_file or verify_file."
    ),
    "source.unreadable": "'{path}' cannot be read: {reason}. Check its permissions and the disk.",
    "source.special": (
        "'{path}' is a {kind}; only regular files can be uploaded. Remove it, or copy its content "
        "into a file."
    ),
    "source.broken_link": "'{path}' is a link whose target does not exist. Fix or remove it.",
    "source.link_cycle": (
        "'{path}' links back to a directory that contains it, so it is not followed."
    ),
    "source.not_inside": (
        "'{path}' is not, or no longer, the file that was found in the directory: a symbolic link "
        "may have replaced it. It is not uploaded (symlinks=inside or skip)."
    ),
    "source.link_outside": (
        "'{path}' is a symbolic link that leads out of the directory, to '{target}', so it is not "
        "followed (symlinks=inside)."
    ),
    "source.link_skipped": "'{path}' is a symbolic link, so it is not followed (symlinks=skip).",
    "source.touched": (
        "'{path}' was modified in the meantime: its status change time differs, although its size "
        "and modification time do not. Either its mode, owner, name, links or attributes were set, "
        "or its content was written and the modification time set back. Try again."
    ),
    "source.vanished": "'{path}' disappeared in the meantime. Restore it and try again.",
    "source.changed": (
        "'{path}' changed in the meantime ({detail}). Try again when nothing is writing to it."
    ),
    "source.bad_path": "The path {path} contains a NUL or another character that no file name can contain.",
    "source.no_parent": "'{path}' has no name that include_parent_dir could add to the keys.",
    # Keys.
    "key.empty": "The object key is empty. Give it a name.",
    "key.empty_segment": (
        "The object key '{key}' has an empty segment ('//' or a '/' at its end). Put a single '/' "
        "between names, and end with a name."
    ),
    "key.dot_segment": (
        "The object key '{key}' has a '{segment}' segment, which stores resolve differently. "
        "Write the path without it."
    ),
    "key.nul": "The object key '{key}' contains a NUL character. Remove it.",
    "key.too_long": (
        "The object key '{key}' is {length} bytes in UTF-8; S3 allows {limit}. Shorten the path."
    ),
    "key.long_segment": (
        "A segment of the object key '{key}' is {length} bytes in UTF-8; this store allows {limit} "
        "between two '/'. Shorten it."
    ),
    "key.not_utf8": "The name '{key}' is not valid UTF-8, so it cannot be an S3 key. Rename the file.",
    # Sizes.
    "plan.too_large": (
        "The file is {size} bytes; the limits in force for this store allow {limit} bytes per "
        "object ({max_parts} parts). Split the file, or raise max_parts or max_part_size if the "
        "store allows more."
    ),
}
