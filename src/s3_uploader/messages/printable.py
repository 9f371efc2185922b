"""Escape what would make a name look like another one in a terminal or a log."""

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of invisible characters that affect visible ones: control characters, format
characters (the bidirectional ones among them), lone surrogates, line and paragraph separators."""

_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
"""The flag of a region, such as Scotland's: a black flag and its name in tag characters."""

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_VIRAMA = 9
_UNASSIGNED_EMOJI = range(0x1F000, 0x1FB00)
"""Where Unicode puts new emoji: this Python may not know the newest."""


def printable(value: str) -> str:
    """Return `value` with invisible characters that affect others, such as U+202E, escaped.

    Joiners stay where a script or an emoji is written with them, and so do the flags of regions.
    """
    if value.isprintable():
        return value
    flags = {place for flag in _FLAG.finditer(value) for place in range(*flag.span())}
    return "".join(
        _escaped(char)
        if unicodedata.category(char) in _HIDDEN
        and place not in flags
        and not _joins(char, value[:place], value[place + 1 :])
        else char
        for place, char in enumerate(value)
    )


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _joins(char: str, before: str, after: str) -> bool:
    """Return whether a joiner is part of the spelling where it stands.

    After a virama, and between Arabic letters (RFC 5892, appendix A.1 and A.2); between the parts
    of an emoji (Unicode Technical Standard 51, ED-16).
    """
    if char not in {_ZWNJ, _ZWJ} or not before or not after:
        return False
    if unicodedata.combining(before[-1]) == _VIRAMA:
        return True
    if unicodedata.bidirectional(before[-1]) == unicodedata.bidirectional(after[0]) == "AL":
        return True
    emoji = before.rstrip("\ufe0f")
    return char == _ZWJ and _is_symbol(emoji[-1:]) and _is_symbol(after[0])


def _is_symbol(char: str) -> bool:
    return bool(char) and (
        unicodedata.category(char).startswith("S") or ord(char) in _UNASSIGNED_EMOJI
    )
