"""Symbolic links below a directory: which are followed, which left out, and what the log says."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from s3_uploader import (
    ConfigError,
    UploadConfig,
    Uploader,
    UploadFailedError,
)
from s3_uploader.config import Symlinks
from s3_uploader.consumers import LogConsumer
from s3_uploader.source import Problem, Skipped, count_files, walk
from s3_uploader.testing.hooked import HookedStore, Moment
from trees import make_tree

_SECRET = b"a secret of the machine"
_MODES: list[Symlinks] = ["follow", "inside", "skip"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with links of every kind, beside what they lead to.

    The names say what is behind: files and directories, in the tree or out of it.
    """
    make_tree(tmp_path / "outside", {"secret": _SECRET, "dir/secret": _SECRET})
    root = tmp_path / "root"
    make_tree(root, {"plain": b"1", "sub/plain": b"22", "sub/deep/plain": b"333"})
    for name, target in {
        "file-in": "sub/plain",
        "dir-in": "sub/deep",
        "absolute-in": str(root / "plain"),
        "file-out": "../outside/secret",
        "dir-out": "../outside/dir",
        "absolute-out": str(tmp_path / "outside" / "secret"),
        "sub/up-and-back": "../../root/plain",
        "chain-out": "sub/chain",
        "sub/chain": "../file-out",
        "broken-in": "nothing",
        "broken-out": "../nothing",
        "cycle": ".",
        "prefix-twin": "../root-twin/secret",
    }.items():
        (root / name).symlink_to(target)
    # Its path begins with the root's, letter by letter.
    make_tree(tmp_path / "root-twin", {"secret": _SECRET})
    (tmp_path / "outside" / "back").symlink_to("../root/sub")
    (root / "out-and-back").symlink_to("../outside/back")
    os.link(root / "plain", root / "hard")
    return root


_PLAIN = {"plain", "sub/plain", "sub/deep/plain", "hard"}
_INSIDE = {"file-in", "dir-in/plain", "absolute-in", "sub/up-and-back"} | {
    f"out-and-back/{name}" for name in ("plain", "deep/plain", "up-and-back")
}
_OUTSIDE = {"file-out", "dir-out/secret", "absolute-out", "chain-out", "sub/chain", "prefix-twin"}
_OUTSIDE |= {"out-and-back/chain"}
_BROKEN = {"broken-in", "broken-out"}
_FOUND: dict[Symlinks, set[str]] = {
    "follow": _PLAIN | _INSIDE | _OUTSIDE,
    "inside": _PLAIN | _INSIDE,
    "skip": _PLAIN,
}


def _codes(root: Path, symlinks: Symlinks) -> dict[str, str]:
    entries = [entry for batch in walk(str(root), symlinks=symlinks) for entry in batch]
    return {
        entry.name: entry.error.code if isinstance(entry, Problem | Skipped) else ""
        for entry in entries
    }


def test_follow_takes_everything_and_skips_only_a_cycle(root: Path) -> None:
    assert _codes(root, "follow") == (
        dict.fromkeys(_FOUND["follow"], "")
        | dict.fromkeys(_BROKEN, "source.broken_link")
        | {"cycle": "source.link_cycle"}
    )


def test_inside_takes_what_lies_in_the_tree_by_its_real_path(root: Path) -> None:
    """A broken link counts as what it would lead to: a missing file of the tree, or none of it."""
    outside = {"file-out", "dir-out", "absolute-out", "chain-out", "sub/chain", "prefix-twin"}
    assert _codes(root, "inside") == (
        dict.fromkeys(_FOUND["inside"], "")
        | dict.fromkeys(outside | {"broken-out", "out-and-back/chain"}, "source.link_outside")
        | {"broken-in": "source.broken_link", "cycle": "source.link_cycle"}
    )


def test_skip_takes_no_link_and_every_hard_link(root: Path) -> None:
    codes = _codes(root, "skip")
    links = {name for name, code in codes.items() if code}
    assert codes == dict.fromkeys(_PLAIN, "") | dict.fromkeys(links, "source.link_skipped")
    assert {"file-in", "dir-out", "broken-in", "broken-out", "cycle"} <= links


@pytest.mark.parametrize("symlinks", _MODES)
def test_directory_itself_may_be_a_link(root: Path, symlinks: Symlinks) -> None:
    link = root.parent / "link"
    link.symlink_to("root")
    assert _codes(link, symlinks) == _codes(root, symlinks)
    assert count_files(str(link), symlinks) == count_files(str(root), symlinks)


def test_count_is_of_what_the_walk_yields(root: Path) -> None:
    broken: dict[Symlinks, int] = {"follow": 2, "inside": 1, "skip": 0}
    for symlinks in _MODES:
        assert count_files(str(root), symlinks) == len(_FOUND[symlinks]) + broken[symlinks]


# -------------------------------------------------------------------------------------- uploads


@pytest.mark.anyio
@pytest.mark.parametrize("by", ["argument", "setting"])
@pytest.mark.parametrize("symlinks", _MODES)
async def test_upload_takes_the_same_set_and_reports_the_skipped(
    root: Path, symlinks: Symlinks, by: str
) -> None:
    store = HookedStore()
    lines: list[str] = []
    config = UploadConfig(symlinks=symlinks if by == "setting" else "follow")
    async with Uploader(store=store, config=config) as uploader:
        report = await uploader.upload_directory(
            root,
            "p",
            consumers=[LogConsumer("en", lines.append)],
            symlinks=symlinks if by == "argument" else None,
        )
    expected = {f"p/{name}": (root / name).read_bytes() for name in _FOUND[symlinks]}
    assert store.memory.objects == expected
    linked = {"follow": len(_INSIDE | _OUTSIDE), "inside": len(_INSIDE), "skip": 0}[symlinks]
    outside = len(_OUTSIDE) if symlinks == "follow" else 0
    assert (report.linked, report.outside) == (linked, outside)
    said = f"   Through symbolic links: {linked} (outside the directory: {outside})"
    assert (said in "\n".join(lines).split("\n")) == bool(linked)
    assert set(report.skipped) == {
        name for name, code in _codes(root, symlinks).items() if code.startswith("source.link")
    }
    for name in report.skipped:
        assert any(line.startswith(f"⚠️  Skipped {name}: '{root / name}'") for line in lines)


@pytest.mark.anyio
@pytest.mark.parametrize("symlinks", _MODES)
async def test_verification_compares_the_same_set(root: Path, symlinks: Symlinks) -> None:
    async with Uploader(store=HookedStore(), config=UploadConfig()) as uploader:
        await uploader.upload_directory(root, "p", symlinks=symlinks)
        found = await uploader.verify_directory(root, "p", symlinks=symlinks)
    assert (found.same, found.different, found.missing) == (len(_FOUND[symlinks]), 0, 0)
    assert {file.code for file in found.files} <= {"source.broken_link"}


@pytest.mark.anyio
async def test_invalid_choice_is_refused_with_the_valid_ones(root: Path) -> None:
    wrong: Symlinks = "never"  # type: ignore[assignment]
    async with Uploader(store=HookedStore(), config=UploadConfig()) as uploader:
        with pytest.raises(ConfigError, match=r"never.*upload_directory.*follow, inside, skip"):
            await uploader.upload_directory(root, symlinks=wrong)
        with pytest.raises(ConfigError, match="verify_directory"):
            await uploader.verify_directory(root, symlinks=wrong)
    with pytest.raises(UploadFailedError, match="not open"):
        await uploader.upload_directory(root, symlinks="skip")


# ------------------------------------------------------------------------- between walk and open


def _swap_file(tree: Path) -> None:
    for name in ("z", "d/z"):
        (tree / name).unlink()
        (tree / name).symlink_to(tree.parent / "outside" / "z")


def _swap_directory(tree: Path) -> None:
    (tree / "d").rename(tree.parent / "gone")
    (tree / "d").symlink_to(tree.parent / "outside")
    _swap_file_only(tree)


def _swap_file_only(tree: Path) -> None:
    (tree / "z").unlink()
    (tree / "z").symlink_to(tree.parent / "outside" / "z")


def _swap_by_rename(tree: Path) -> None:
    """As an editor saves: no moment without a file."""
    for name in ("z", "d/z"):
        (tree / "new").symlink_to(tree.parent / "outside" / "z")
        (tree / "new").rename(tree / name)


@pytest.mark.anyio
@pytest.mark.parametrize("size", [500, 4_500])
@pytest.mark.parametrize("swap", [_swap_file, _swap_directory, _swap_by_rename])
@pytest.mark.parametrize("symlinks", _MODES)
async def test_link_in_place_of_a_file_after_the_walk_is_not_followed(
    symlinks: Symlinks, swap: Callable[[Path], None], size: int, tmp_path: Path
) -> None:
    """Read whole or sent in parts; "follow" follows, which shows that this can fail."""
    tree = tmp_path / "tree"
    make_tree(tmp_path / "outside", {"z": _SECRET * (size // len(_SECRET))})
    make_tree(tree, {"first": 10})
    left = True

    async def hook(moment: Moment) -> None:
        nonlocal left
        if moment.operation == "PutObject" and left:
            left = False
            swap(tree)

    store = HookedStore(hook=hook)
    # One request at a time: the others are opened after the first has arrived.
    config = UploadConfig(max_requests=1, backoff_base=0)
    async with Uploader(store=store, config=config) as uploader:
        make_tree(tree, {"z": size, "d/z": size})
        report = await uploader.upload_directory(tree, symlinks=symlinks)
    leaked = [key for key, data in store.memory.objects.items() if _SECRET in data]
    refused = {file.name: file.error for file in report.failures}
    if symlinks == "follow":
        assert leaked
    else:
        assert leaked == []
        assert refused
        assert set(refused.values()) == {"source.not_inside"}
    assert store.memory.uploads == {}


@pytest.mark.anyio
async def test_link_redirected_out_of_the_tree_after_the_walk_is_not_followed(
    tmp_path: Path,
) -> None:
    tree = tmp_path / "tree"
    make_tree(tmp_path, {"outside": _SECRET})
    make_tree(tree, {"a": 10, "b": 10})
    for name in ("x", "y"):
        (tree / name).symlink_to("a")
    left = True

    async def hook(moment: Moment) -> None:
        nonlocal left
        if moment.operation == "PutObject" and left:
            left = False
            for name in ("x", "y"):
                (tree / name).unlink()
                (tree / name).symlink_to("../outside")

    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=UploadConfig(max_requests=1)) as uploader:
        report = await uploader.upload_directory(tree, symlinks="inside")
    assert [key for key, data in store.memory.objects.items() if _SECRET in data] == []
    assert {file.error for file in report.failures} == {"source.not_inside"}


@pytest.mark.anyio
@pytest.mark.parametrize("symlinks", ["inside", "skip"])
async def test_file_saved_again_after_the_walk_is_uploaded_as_it_is_then(
    symlinks: Symlinks, tmp_path: Path
) -> None:
    """Another inode, and no link: what is guarded is the way, not the file."""
    tree = tmp_path / "tree"
    make_tree(tree, {"a": b"old", "b": b"old", "c": b"old"})
    left = True

    async def hook(moment: Moment) -> None:
        nonlocal left
        if moment.operation == "PutObject" and left:
            left = False
            for name in ("a", "b", "c"):
                (tree / "new").write_bytes(b"new!")
                (tree / "new").rename(tree / name)

    store = HookedStore(hook=hook)
    async with Uploader(store=store, config=UploadConfig(max_requests=1)) as uploader:
        report = await uploader.upload_directory(tree, symlinks=symlinks)
    assert report.ok
    assert sorted(store.memory.objects.values()) == [b"new!", b"new!", b"old"]
