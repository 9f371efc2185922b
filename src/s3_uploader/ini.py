"""Read INI files, and say what is wrong with one without quoting it."""

import configparser
import os
from pathlib import Path


def read_ini(file: Path) -> tuple[configparser.RawConfigParser, int]:
    """Return the content of an INI file, and its mode. Blocks on the disk.

    Raises:
        OSError: the file cannot be read.
        configparser.Error, UnicodeDecodeError: the file is malformed; see `ini_fault`.
    """
    with file.open("rb") as stream:
        mode = os.fstat(stream.fileno()).st_mode
        content = stream.read()
    parser = configparser.RawConfigParser()
    # Decoded whole, so that an error's position is the file's.
    parser.read_string(content.decode("utf-8-sig"))
    return parser, mode


def ini_fault(error: Exception) -> str:
    """Return what is wrong with an INI file, and in which line, without quoting it.

    The parser's own message quotes the line, which may contain a secret.
    """
    line = getattr(error, "lineno", None)
    if line is None and isinstance(error, configparser.ParsingError) and error.errors:
        line = error.errors[0][0]
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
    kind = type(error).__name__
    return kind if line is None else f"{kind}, line {line}"
