"""The model that the demo uploads, laid out as the Hugging Face cache keeps one."""

import hashlib
import json
import os
import random
from dataclasses import dataclass
from pathlib import Path

PREFIX = "demo-model"
SINGLE_KEY = "demo-model-merged/consolidated.safetensors"
ROOT = "workspace/models"
BLOCK = 1024 * 1024

_SEED = 20260801


@dataclass(frozen=True, slots=True)
class Made:
    """An object that the bucket must hold; `size` in bytes."""

    size: int
    sha256: str


class Model:
    """A model as the Hugging Face cache keeps it: `snapshot` holds links into `blobs`.

    Attributes:
        snapshot: the directory to upload.
        single: a large file beside it, to upload alone.
        expected: the objects that must arrive, by key.
    """

    def __init__(self, folder: Path, size_mb: int) -> None:
        self._rng = random.Random(_SEED)  # noqa: S311  (repeatable content, no secret)
        home = folder / "models--demo--model"
        self._blobs = home / "blobs"
        self.snapshot = home / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
        self.single = folder / "consolidated.safetensors"
        self.expected: dict[str, Made] = {}
        self._blobs.mkdir(parents=True)
        self._make(size_mb)

    def _make(self, size_mb: int) -> None:
        total = size_mb * BLOCK
        shards = {
            "model-00001-of-00002.safetensors": total * 2 // 5,
            "model-00002-of-00002.safetensors": total * 7 // 20 + 12_345,
        }
        for name, size in shards.items():
            self._link(name, size)
        for name, text in _small_files(shards).items():
            self._write(name, text.encode())
        made = self._fill(self.single, total // 4)
        self.expected[f"{ROOT}/{SINGLE_KEY}"] = made

    def _link(self, name: str, size: int) -> None:
        """Make a blob named by its SHA-256, and the link to it in the snapshot."""
        made = self._fill(self._blobs / "incomplete", size)
        blob = (self._blobs / "incomplete").rename(self._blobs / made.sha256)
        target = self._place(name)
        target.symlink_to(os.path.relpath(blob, target.parent))
        self.expected[f"{ROOT}/{PREFIX}/{name}"] = made

    def _write(self, name: str, data: bytes) -> None:
        self._place(name).write_bytes(data)
        made = Made(len(data), hashlib.sha256(data).hexdigest())
        self.expected[f"{ROOT}/{PREFIX}/{name}"] = made

    def _place(self, name: str) -> Path:
        target = self.snapshot / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _fill(self, path: Path, size: int) -> Made:
        digest = hashlib.sha256()
        with path.open("wb") as stream:
            for offset in range(0, size, BLOCK):
                block = self._rng.randbytes(min(BLOCK, size - offset))
                digest.update(block)
                stream.write(block)
        return Made(size, digest.hexdigest())


def _small_files(shards: dict[str, int]) -> dict[str, str]:
    weights = {f"layers.{number}.weight": name for number, name in enumerate(shards)}
    index = {"metadata": {"total_size": sum(shards.values())}, "weight_map": weights}
    words = [f"token{number:05d}" for number in range(32_000)]
    return {
        "model.safetensors.index.json": json.dumps(index, indent=2),
        "config.json": json.dumps({"model_type": "demo", "vocab_size": len(words)}, indent=2),
        "generation_config.json": json.dumps({"temperature": 0.7}, indent=2),
        "tokenizer/vocab.txt": "\n".join(words),
        "tokenizer/merges.txt": "\n".join(f"to ken{number}" for number in range(10_000)),
        "tokenizer/tokenizer_config.json": json.dumps({"model_max_length": 4096}),
        "tokenizer/added_tokens.txt": "",
        "说明.md": "# 演示模型\n\n内容是随机的。\n",
        "model card (draft).md": "# A demo model\n\nIts weights are noise.\n",
    }
