"""The Python examples of the README run as they stand, and print what their comments say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from s3_uploader.testing import LocalS3Server
from trees import make_tree

_README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
_EXAMPLES = re.findall(r"^```python\n(.*?)^```", _README, re.DOTALL | re.MULTILINE)
_PRINTED = re.compile(r"^(?:# |print\(.*\)  # )(True .*|\{.*)$", re.MULTILINE)
_UPLOADED = "from s3_uploader import upload_directory\nupload_directory('bert-base', 'bert-base')\n"
_ABSENT = ("/path/to/", "/local/")


def test_every_example_is_looked_at() -> None:
    assert len(_EXAMPLES) == _README.count("```python\n") >= 10
    assert sum(len(_PRINTED.findall(example)) for example in _EXAMPLES) >= 2


@pytest.mark.parametrize("number", range(len(_EXAMPLES)))
def test_example_runs(number: int, server: LocalS3Server, tmp_path: Path) -> None:
    example = _EXAMPLES[number]
    files = {"model.bin": 300_000, "config.json": 20}
    tree = {f"bert-base/{name}": 1_000 for name in ("config.json", "model.bin", "sub/vocab.txt")}
    make_tree(tmp_path, files | tree)
    if "verify_directory(" in example and "upload_directory(" not in example:
        before = (
            "from s3_uploader import upload_directory\nupload_directory('bert-base','bert-base')\n"
        )
        example = before + example
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=os.environ | server.environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for printed in _PRINTED.findall(example):
        assert printed in done.stdout
    assert ("❌" in done.stdout) == any(path in example for path in _ABSENT)
