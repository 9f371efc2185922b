"""Build object keys from paths and prefixes, and check that stores accept them."""

from dataclasses import dataclass

from s3_uploader.errors import InvalidKeyError

MAX_KEY_BYTES = 1024
"""Longest object key, in bytes of UTF-8 (Amazon S3 User Guide, "Naming Amazon S3 objects")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """What a store demands of a key beyond what every store does. Lengths are bytes of UTF-8.

    Attributes:
        max_segment_bytes: longest segment between "/", None where only the whole key is limited.
    """

    max_segment_bytes: int | None = None


ANY_STORE = KeyRules()


def join_key(*pieces: str) -> str:
    """Join the pieces of a key with '/', leaving out empty ones.

    A leading '/' of any piece and the '/' between pieces do not count; a '/' at the end of the
    last piece stays, for `check_key` to refuse.
    """
    kept = [piece.lstrip("/") for piece in pieces]
    *heads, last = kept or [""]
    return "/".join([*(head.rstrip("/") for head in heads if head.rstrip("/")), last])


def check_key(key: str, rules: KeyRules = ANY_STORE) -> str:
    """Return `key` if every store with these `rules` accepts it.

    Raises:
        InvalidKeyError: empty, over 1,024 bytes, not UTF-8, NUL, or a segment that is empty,
            '.' or '..' (some stores map keys to real paths; clients and proxies normalise such
            paths), or longer than the rules allow.
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
    limit = rules.max_segment_bytes
    if limit is not None and length > limit:
        _check_segments(key, limit)
    return key


def _check_segments(key: str, limit: int) -> None:
    for segment in key.split("/"):
        length = len(segment.encode())
        if length > limit:
            raise InvalidKeyError("key.long_segment", key=key, length=length, limit=limit)


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
