"""Tell whether a file lies below a directory without any link on the way, when it is opened."""

import os
from dataclasses import dataclass

from s3_uploader.errors import SourceError

# O_PATH, where there is one, needs no permission to read the directory.
_DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class Within:
    """A file by the path below `base` that a walk has found, on which there is no link.

    Attributes:
        base: real path of the directory.
        name: path below it with '/'.
    """

    base: str
    name: str

    def check(self, path: str, status: os.stat_result) -> None:
        """Raise SourceError unless `status`, of what was opened at `path`, is of this very file.

        Each step is taken without following a link: one put in the place of the file, or of a
        directory above it, after the walk leads to another file or to none. Blocks on the disk.
        """
        try:
            found = self._status()
        except OSError as error:
            raise SourceError("source.not_inside", path=path) from error
        if not os.path.samestat(found, status):
            raise SourceError("source.not_inside", path=path)

    def _status(self) -> os.stat_result:
        *directories, last = self.name.split("/")
        descriptor = os.open(self.base, _DIRECTORY)
        try:
            for name in directories:
                inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            return os.stat(last, dir_fd=descriptor, follow_symlinks=False)
        finally:
            os.close(descriptor)
