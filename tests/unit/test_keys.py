"""What a refusal of a key, or of a size, names; and where each limit lies."""

from typing import Any

import pytest

from s3_uploader.errors import InvalidKeyError, SourceError
from s3_uploader.keys import KeyRules, check_key, directory_prefix, file_key, join_key
from s3_uploader.plan import plan_parts
from s3_uploader.providers import Limits

_SHORT = KeyRules(max_segment_bytes=5)


@pytest.mark.parametrize(
    ("key", "code", "params"),
    [
        ("", "key.empty", {}),
        ("a\0b", "key.nul", {"key": "a\0b"}),
        ("a\ud800", "key.not_utf8", {"key": "a\ud800"}),
        ("é" * 513, "key.too_long", {"key": "é" * 513, "length": 1026, "limit": 1024}),
        ("a//b", "key.empty_segment", {"key": "a//b"}),
        ("a/", "key.empty_segment", {"key": "a/"}),
        ("a/./b", "key.dot_segment", {"key": "a/./b", "segment": "."}),
        ("../b", "key.dot_segment", {"key": "../b", "segment": ".."}),
        ("a/ééé", "key.long_segment", {"key": "a/ééé", "length": 6, "limit": 5}),
        ("123456/a", "key.long_segment", {"key": "123456/a", "length": 6, "limit": 5}),
    ],
)
def test_refused_key_is_named_with_what_is_wrong(
    key: str, code: str, params: dict[str, Any]
) -> None:
    with pytest.raises(InvalidKeyError) as raised:
        check_key(key, _SHORT)
    assert (raised.value.code, dict(raised.value.params)) == (code, params)


@pytest.mark.parametrize("key", ["k" * 1024, "é" * 512, "...", ".a", "a.", " "])
def test_key_at_the_limit_is_accepted(key: str) -> None:
    assert check_key(key) == key
    assert check_key("12345/ééa", _SHORT) == "12345/ééa"
    assert check_key("12345", _SHORT) == "12345"


def test_keys_are_joined_without_the_slashes_between() -> None:
    assert join_key() == ""
    assert join_key("", "/", "a") == "a"
    assert join_key("X/", "/a/", "b") == "X/a/b"
    assert join_key("//X//", "b/") == "X/b/"
    assert file_key("X", None, "name") == "X/name"
    assert file_key("X", "given", "name") == "X/given"
    assert directory_prefix("/X/", "X/", "X") == "X/X/X"
    assert directory_prefix("", None) == ""
    assert directory_prefix("X/X/", None) == "X/X"
    with pytest.raises(InvalidKeyError):
        directory_prefix("a/..", "b")
    with pytest.raises(InvalidKeyError):
        file_key("a/..", None, "b")


def test_size_beyond_the_store_is_named_with_its_limits() -> None:
    limits = Limits(max_part=10, max_parts=3)
    assert plan_parts(30, 10, limits).count == 3
    with pytest.raises(SourceError) as raised:
        plan_parts(31, 10, limits)
    assert dict(raised.value.params) == {"size": 31, "limit": 30, "max_parts": 3}


def test_parts_grow_only_where_their_number_demands_it() -> None:
    """One byte more than the parts hold is one part too many."""
    limits = Limits(min_part=1, max_parts=3)
    assert plan_parts(30, 10, limits).part_size == 10
    assert plan_parts(31, 10, limits).part_size == 1024 * 1024
