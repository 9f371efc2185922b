"""Real and fake stores for tests: ours, and those of the code that uses this library."""

from s3_uploader.testing.memory import MemoryStore
from s3_uploader.testing.server import LocalS3Server

__all__ = ["LocalS3Server", "MemoryStore"]
