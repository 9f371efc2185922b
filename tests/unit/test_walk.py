"""The walk: every entry of a tree comes out once, as a file, a problem or a skip."""

import os
import socket
import sys
from pathlib import Path

import pytest

from s3_uploader import SourceError
from s3_uploader.source import Entry, Problem, Skipped, SourceFile, count_files, walk


def _walk(root: Path | str) -> dict[str, Entry]:
    entries = [entry for batch in walk(str(root)) for entry in batch]
    named = {entry.name: entry for entry in entries}
    assert len(named) == len(entries)
    return named


def _codes(entries: dict[str, Entry]) -> dict[str, str]:
    return {
        name: "" if isinstance(entry, SourceFile) else entry.error.code
        for name, entry in entries.items()
    }


def test_files_come_with_their_path_below_the_root_and_their_size(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "empty").touch()
    (tmp_path / "a" / "b" / "three").write_bytes(b"123")
    (tmp_path / "a" / "空 格.txt").write_bytes(b"1")
    assert _walk(tmp_path) == {
        "empty": SourceFile("empty", 0),
        "a/b/three": SourceFile("a/b/three", 3),
        "a/空 格.txt": SourceFile("a/空 格.txt", 1),
    }


def test_hidden_files_and_directories_are_included(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").touch()
    (tmp_path / ".env").touch()
    assert set(_walk(tmp_path)) == {".git/HEAD", ".env"}


def test_links_to_files_and_directories_are_followed(tmp_path: Path) -> None:
    """The layout of a Hugging Face cache: snapshots link into blobs."""
    outside = tmp_path / "blobs"
    outside.mkdir()
    (outside / "f00d").write_bytes(b"weights")
    root = tmp_path / "snapshot"
    root.mkdir()
    (root / "model.bin").symlink_to("../blobs/f00d")
    (root / "all").symlink_to("../blobs")
    assert _walk(root) == {
        "model.bin": SourceFile("model.bin", 7, "outside"),
        "all/f00d": SourceFile("all/f00d", 7, "outside"),
    }


def test_directory_linked_twice_is_uploaded_twice(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "f").touch()
    (tmp_path / "one").symlink_to("data")
    (tmp_path / "two").symlink_to("data")
    assert set(_walk(tmp_path)) == {"data/f", "one/f", "two/f"}


def test_link_back_to_a_parent_is_skipped_and_reported(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").touch()
    (tmp_path / "a" / "self").symlink_to(".")
    (tmp_path / "a" / "root").symlink_to("..")
    entries = _walk(tmp_path)
    assert _codes(entries) == {
        "a/f": "",
        "a/self": "source.link_cycle",
        "a/root": "source.link_cycle",
    }
    assert isinstance(entries["a/self"], Skipped)


def test_two_directories_that_link_to_each_other_end(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").touch()
        (tmp_path / name / "to").symlink_to(f"../{other}")
    codes = _codes(_walk(tmp_path))
    assert {name for name, code in codes.items() if code == ""} == {
        "a/f",
        "b/f",
        "a/to/f",
        "b/to/f",
    }
    assert codes["a/to/to"] == codes["b/to/to"] == "source.link_cycle"


def test_entry_without_content_is_a_problem_of_its_kind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "good").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        entries = _walk(tmp_path)
    kinds = {
        name: entry.error.params.get("kind", entry.error.code)
        for name, entry in entries.items()
        if isinstance(entry, Problem)
    }
    assert kinds == {
        "fifo": "fifo",
        "socket": "socket",
        "null": "character device",
        "broken": "source.broken_link",
        "loop": "source.unreadable",
    }
    assert isinstance(entries["good"], SourceFile)


def test_unreadable_directory_is_a_problem_and_the_walk_continues(tmp_path: Path) -> None:
    """A path too long for the system: the one directory that not even root can open by name."""
    (tmp_path / "good").touch()
    _nest(tmp_path, "d" * 250, depth=20)
    codes = _codes(_walk(tmp_path))
    assert codes.pop("good") == ""
    assert list(codes.values()) == ["source.unreadable"]


def _nest(root: Path, name: str, depth: int) -> int:
    """Make directories within each other, below the longest path too; return how many."""
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=descriptor)
        inner = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(os.open("leaf", os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)
    return depth


def test_names_that_are_not_utf8_come_out_as_the_system_spells_them(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9", "wb"):
        pass
    assert set(_walk(tmp_path)) == {"caf\udce9"}


def test_tree_deeper_than_the_recursion_limit_is_walked(tmp_path: Path) -> None:
    depth = _nest(tmp_path, "d", depth=sys.getrecursionlimit() + 100)
    assert set(_walk(tmp_path)) == {"d/" * depth + "leaf"}
    # pytest's own clean-up recurses, and could not.
    (tmp_path / ("d/" * depth) / "leaf").unlink()
    for level in range(depth, 0, -1):
        (tmp_path / ("d/" * level)).rmdir()


def test_batches_are_full_but_for_the_last_and_come_before_the_walk_ends(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}").touch()
    batches = walk(str(tmp_path), batch=4)
    assert len(next(batches)) == 4
    assert [len(batch) for batch in batches] == [4, 2]


def test_empty_directory_has_no_batches(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert list(walk(str(tmp_path))) == []


def test_count_files_counts_files_and_problems_but_not_skips(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "self").symlink_to(".")
    assert count_files(str(tmp_path)) == 2
    assert count_files(str(tmp_path / "missing")) == 0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("missing", "source.missing"),
        ("file", "source.not_directory"),
        ("nul\0", "source.bad_path"),
        ("file/below", "source.unreadable"),
        ("loop", "source.unreadable"),
    ],
)
def test_root_that_cannot_be_walked_raises(tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SourceError) as caught:
        next(walk(f"{tmp_path}/{name}"))
    assert caught.value.code == code
    assert name.rstrip("\0") in str(caught.value)
