"""Files and directories to upload."""

import os
from collections.abc import Mapping
from pathlib import Path


def make_tree(root: Path, files: Mapping[str, bytes | int]) -> dict[str, bytes]:
    """Write files of the given content, or of so many random bytes; return their content."""
    content = {
        name: os.urandom(data) if isinstance(data, int) else data for name, data in files.items()
    }
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    root.mkdir(parents=True, exist_ok=True)
    return content
