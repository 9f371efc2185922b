"""Keys from paths, parts from sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_uploader import InvalidKeyError, SourceError
from s3_uploader.keys import (
    MAX_KEY_BYTES,
    KeyRules,
    check_key,
    directory_prefix,
    file_key,
    join_key,
)
from s3_uploader.plan import plan_parts
from s3_uploader.providers import Limits
from s3_uploader.sizes import GIB, MIB

limits_strategy = st.builds(
    Limits,
    max_part=st.integers(1, 6 * GIB),
    max_parts=st.integers(1, 12_000),
    object_limit=st.none() | st.integers(1, 70_000 * GIB),
)


@st.composite
def planned(draw: st.DrawFn) -> tuple[int, int, Limits]:
    limits = draw(limits_strategy)
    part_size = draw(st.integers(1, limits.max_part))
    # Near the corners, and anywhere between.
    largest = limits.max_object
    size = draw(
        st.one_of(
            st.integers(1, largest),
            st.integers(max(1, largest - 3), largest),
            st.integers(1, 5).map(lambda count: min(count * part_size, largest)),
        )
    )
    return size, part_size, limits


@given(planned())
def test_parts_keep_to_the_limits_and_cover_the_size(case: tuple[int, int, Limits]) -> None:
    size, part_size, limits = case
    plan = plan_parts(size, part_size, limits)
    assert 1 <= plan.count <= limits.max_parts
    assert plan.part_size <= limits.max_part
    assert plan.part_size >= min(part_size, size)
    assert (plan.count - 1) * plan.part_size < size <= plan.count * plan.part_size


@given(st.integers(1, 20_000), st.integers(1, 500), st.integers(1, 200))
def test_parts_are_equal_contiguous_and_only_the_last_is_shorter(
    size: int, part_size: int, max_parts: int
) -> None:
    plan = plan_parts(size, part_size, Limits(max_part=10**9, max_parts=max_parts))
    parts = list(plan)
    assert len(parts) == plan.count
    assert [part.number for part in parts] == list(range(1, plan.count + 1))
    assert {part.size for part in parts[:-1]} <= {plan.part_size}
    assert 0 < parts[-1].size <= plan.part_size
    offset = 0
    for part in parts:
        assert part.offset == offset
        offset += part.size
    assert offset == size


@given(planned())
def test_part_size_grows_only_if_the_part_count_demands_it(
    case: tuple[int, int, Limits],
) -> None:
    size, part_size, limits = case
    plan = plan_parts(size, part_size, limits)
    if -(-size // part_size) <= limits.max_parts:
        assert plan.part_size == part_size
    else:
        assert plan.part_size % MIB == 0 or plan.part_size == limits.max_part


@given(limits_strategy, st.integers(1, 10**6))
def test_file_over_the_store_limit_is_refused_with_both_numbers(limits: Limits, over: int) -> None:
    with pytest.raises(SourceError) as caught:
        plan_parts(limits.max_object + over, 1, limits)
    assert caught.value.code == "plan.too_large"
    assert str(limits.max_object + over) in str(caught.value)
    assert str(limits.max_object) in str(caught.value)


def test_file_too_large_for_aioboto3_gets_at_most_ten_thousand_parts() -> None:
    """aioboto3 keeps 8 MiB parts, and fails at the end of any file over 78 GiB."""
    plan = plan_parts(79 * GIB, 8 * MIB, Limits())
    assert plan.count <= 10_000
    assert plan.part_size == 9 * MIB


# ------------------------------------------------------------------------------------------ keys

segments = st.text(st.characters(blacklist_characters="/\0", codec="utf-8"), min_size=1).filter(
    lambda segment: segment not in {".", ".."}
)


@given(st.lists(segments, min_size=1, max_size=6))
def test_joined_segments_make_the_key_they_spell(names: list[str]) -> None:
    assert join_key(*names) == "/".join(names)


@given(st.lists(segments, min_size=1, max_size=6), st.integers(0, 3), st.integers(0, 3))
def test_slashes_between_and_before_pieces_do_not_count(
    names: list[str], before: int, after: int
) -> None:
    pieces = ["/" * before + name + "/" * after for name in names[:-1]]
    assert join_key(*pieces, "/" * before + names[-1]) == "/".join(names)


@given(st.lists(st.text("ab/", max_size=5), max_size=5))
def test_joined_key_never_begins_with_a_slash(pieces: list[str]) -> None:
    assert not join_key(*pieces).startswith("/")


@given(st.lists(segments, min_size=1, max_size=6))
def test_good_key_passes_unchanged_up_to_its_length(names: list[str]) -> None:
    key = "/".join(names)
    if len(key.encode()) <= MAX_KEY_BYTES:
        assert check_key(key) == key
    else:
        with pytest.raises(InvalidKeyError, match=str(MAX_KEY_BYTES)):
            check_key(key)


@given(st.text("a./\0", max_size=12))
def test_check_key_refuses_exactly_the_segments_stores_disagree_on(key: str) -> None:
    bad = not key or "\0" in key or any(part in {"", ".", ".."} for part in key.split("/"))
    if not bad:
        assert check_key(key) == key
        return
    with pytest.raises(InvalidKeyError) as caught:
        check_key(key)
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "key.empty"),
        ("a//b", "key.empty_segment"),
        ("a/", "key.empty_segment"),
        ("/a", "key.empty_segment"),
        ("a/../b", "key.dot_segment"),
        ("./a", "key.dot_segment"),
        ("a\0b", "key.nul"),
        ("a/\udcff", "key.not_utf8"),
        ("é" * 513, "key.too_long"),
    ],
)
def test_each_bad_key_has_its_own_code(key: str, code: str) -> None:
    with pytest.raises(InvalidKeyError) as caught:
        check_key(key)
    assert caught.value.code == code


def test_longest_key_is_measured_in_bytes() -> None:
    assert check_key("é" * 512)
    assert check_key("a" * 1024)


def test_store_may_limit_the_names_between_slashes() -> None:
    rules = KeyRules(max_segment_bytes=4)
    for key in ("abcd", "éé/éé/a", "a/b/c/d/e"):
        assert check_key(key, rules) == key
    for key in ("abcde", "a/ééé", "abcde/a"):
        assert check_key(key) == key
        with pytest.raises(InvalidKeyError, match="4") as caught:
            check_key(key, rules)
        assert caught.value.code == "key.long_segment"


@pytest.mark.parametrize(
    ("subdir", "remote_key", "name", "key"),
    [
        ("/workspace/models", "bert-base/model.bin", "x", "workspace/models/bert-base/model.bin"),
        ("/workspace/models", "my-model/model.bin", "x", "workspace/models/my-model/model.bin"),
        ("/workspace/cache", "bert-base/model.bin", "x", "workspace/cache/bert-base/model.bin"),
        ("/workspace/models", None, "model.bin", "workspace/models/model.bin"),
        ("/workspace/models/", "/a.bin", "x", "workspace/models/a.bin"),
        ("", "file.bin", "x", "file.bin"),
    ],
)
def test_file_key_follows_the_path_rule(
    subdir: str, remote_key: str | None, name: str, key: str
) -> None:
    assert file_key(subdir, remote_key, name) == key


@pytest.mark.parametrize(
    ("subdir", "remote_prefix", "parent", "prefix"),
    [
        ("/workspace/models", "bert-base", "", "workspace/models/bert-base"),
        ("/workspace/models", "v1", "bert-base", "workspace/models/v1/bert-base"),
        ("/workspace/models", None, "", "workspace/models"),
        ("", None, "", ""),
        ("", None, "bert-base", "bert-base"),
        ("/", "v1/", "", "v1"),
    ],
)
def test_directory_prefix_follows_the_path_rule(
    subdir: str, remote_prefix: str | None, parent: str, prefix: str
) -> None:
    assert directory_prefix(subdir, remote_prefix, parent) == prefix
