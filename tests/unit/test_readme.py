"""What the README promises has a test."""

import re
from pathlib import Path

_TESTS = Path(__file__).parent.parent
_README = (_TESTS.parent / "README.md").read_text(encoding="utf-8")
_NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_every_row_of_what_happens_when_names_a_test_that_exists() -> None:
    table = _README.partition("### What happens when")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for row in rows:
        named = _NAMED.search(row)
        assert named is not None, row
        (path,) = _TESTS.glob(f"*/{named[1]}")
        source = path.read_text(encoding="utf-8")
        assert f"def {named[2]}(" in source, row
