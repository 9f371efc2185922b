"""What is uploaded, and to which key: codes of `source`, `key` and `plan`."""

TEXTS = {
    # Paths and files.
    "source.missing": "'{path}' does not exist. Check the path.",
    "source.is_directory": (
        "'{path}' is a directory. Use upload_directory or verify_directory for it."
    ),
    "source.not_directory": (
        "'{path}' is a file, not a directory. Use upload_file or verify_file for it."
    ),
    "source.unreadable": "'{path}' cannot be read: {reason}. Check its permissions and the disk.",
    "source.special": (
        "'{path}' is a {kind}; only regular files can be uploaded. Remove it, or copy its content "
        "into a file."
    ),
    "source.broken_link": "'{path}' is a link to something that does not exist. Fix or remove it.",
    "source.link_cycle": (
        "'{path}' leads back to a directory that contains it; it is not followed again."
    ),
    "source.not_inside": (
        "'{path}' is not the file, or no longer, that was found below the directory: a symbolic "
        "link may have taken its place. It is left alone (symlinks=inside or skip)."
    ),
    "source.link_outside": (
        "'{path}' is a symbolic link that leads out of the directory, to '{target}'; those are "
        "left out here (symlinks=inside)."
    ),
    "source.link_skipped": "'{path}' is a symbolic link; they are left out here (symlinks=skip).",
    "source.touched": (
        "'{path}' was touched in the meantime: its size and modification time are as before, its "
        "status change time is not. Either its mode, owner, name, links or attributes were set, or "
        "its content was written and the modification time set back. Try again."
    ),
    "source.vanished": "'{path}' disappeared in the meantime. Restore it and try again.",
    "source.changed": (
        "'{path}' changed in the meantime ({detail}). Try again when nothing writes to it."
    ),
    "source.bad_path": "The path {path} holds a NUL character, or another that no file name can.",
    "source.no_parent": "'{path}' has no name of its own, so include_parent_dir cannot add one.",
    # Keys.
    "key.empty": "The object key is empty. Give it a name.",
    "key.empty_segment": (
        "The object key '{key}' has an empty segment ('//' or a '/' at its end). Write one '/' "
        "between names and end with a name."
    ),
    "key.dot_segment": (
        "The object key '{key}' has a '{segment}' segment, which stores resolve differently. "
        "Write the path without it."
    ),
    "key.nul": "The object key '{key}' holds a NUL character. Take it out.",
    "key.too_long": (
        "The object key '{key}' is {length} bytes in UTF-8; S3 allows {limit}. Shorten the path."
    ),
    "key.long_segment": (
        "A name in the object key '{key}' is {length} bytes in UTF-8; this store allows {limit} "
        "between two '/'. Shorten it."
    ),
    "key.not_utf8": "The name '{key}' is not valid UTF-8, so S3 cannot hold it. Rename the file.",
    # Sizes.
    "plan.too_large": (
        "The file is {size} bytes; the limits in force for this store allow {limit} bytes per "
        "object ({max_parts} parts). Split the file, or raise max_parts or max_part_size if the "
        "store allows more."
    ),
}
