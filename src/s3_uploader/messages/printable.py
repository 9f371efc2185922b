"""Show names so that what stands in a terminal or a log is what they are."""

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of what is not seen itself but acts on what is: control characters, format
characters (the bidirectional ones among them), half surrogate pairs, line and paragraph separators.
"""

_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
"""The flag of a region, such as Scotland's: a black flag and its name in tag characters."""

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_VIRAMA = 9
_UNASSIGNED_EMOJI = range(0x1F000, 0x1FB00)
"""Where Unicode puts new ones: this Python may not know the newest."""


def printable(value: str) -> str:
    """Return `value` with each character that would hide or act escaped, as U+202E is.

    Joiners stay where a script or an emoji is written with them, and the flags of regions.
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
    """Return whether a joiner stands where it is part of the spelling.

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
