"""Object keys from paths and prefixes, and what every store can hold."""

from s3_uploader.errors import InvalidKeyError

MAX_KEY_BYTES = 1024
"""Longest object key, in bytes of UTF-8 (Amazon S3 User Guide, "Naming Amazon S3 objects")."""


def join_key(*pieces: str) -> str:
    """Join the pieces of a key with '/', leaving out empty ones.

    A leading '/' of any piece and the '/' between pieces do not count; a '/' at the end of the
    last piece stays, for `check_key` to refuse.
    """
    kept = [piece.lstrip("/") for piece in pieces]
    *heads, last = kept or [""]
    return "/".join([*(head.rstrip("/") for head in heads if head.rstrip("/")), last])


def check_key(key: str) -> str:
    """Return `key` if every store can hold it.

    Raises:
        InvalidKeyError: empty, over 1,024 bytes, not UTF-8, NUL, or a segment that is empty,
            '.' or '..' (RunPod maps keys to real paths; clients and proxies normalise such paths).
    """
    if not key:
        raise InvalidKeyError("key.empty")
    if "\0" in key:
        raise InvalidKeyError("key.nul", key=key)
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidKeyError("key.not_utf8", key=key) from error
    if length > MAX_KEY_BYTES:
        raise InvalidKeyError("key.too_long", key=key, length=length, limit=MAX_KEY_BYTES)
    for segment in key.split("/"):
        if not segment:
            raise InvalidKeyError("key.empty_segment", key=key)
        if segment in {".", ".."}:
            raise InvalidKeyError("key.dot_segment", key=key, segment=segment)
    return key


def file_key(models_subdir: str, remote_key: str | None, file_name: str) -> str:
    """Return the key of a single file: models_subdir + (remote_key or the file's own name).

    Raises:
        InvalidKeyError: as `check_key`.
    """
    return check_key(join_key(models_subdir, remote_key or file_name))


def directory_prefix(models_subdir: str, remote_prefix: str | None, parent: str = "") -> str:
    """Return the prefix of a directory's keys: models_subdir + remote_prefix + parent name.

    The result has no '/' at either end and is "" for the bucket's root.

    Raises:
        InvalidKeyError: as `check_key`.
    """
    prefix = join_key(models_subdir, remote_prefix or "", parent).rstrip("/")
    return check_key(prefix) if prefix else prefix
