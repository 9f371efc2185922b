"""Both languages say the same things, and say nothing that is never said."""

import ast
import re
import string
from pathlib import Path

import pytest

import s3_uploader
from s3_uploader import StoreError
from s3_uploader.messages import LANGUAGES, en, text, zh

_PACKAGE = Path(s3_uploader.__file__).parent
_CODE = re.compile(
    r"(log|source|key|plan|config|store|integrity|upload|server|journal|outcome|verify)\.(?!pem$|json$|db$)[a-z0-9_]+"
)


def _placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def _codes_in_source() -> set[str]:
    found: set[str] = set()
    for path in _PACKAGE.rglob("*.py"):
        if path.parent.name == "messages":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and _CODE.fullmatch(str(node.value)):
                found.add(str(node.value))
    return found


def test_the_languages_have_the_same_codes() -> None:
    assert zh.TEXTS.keys() == en.TEXTS.keys()


@pytest.mark.parametrize("code", en.TEXTS)
def test_the_languages_fill_in_the_same_things(code: str) -> None:
    assert _placeholders(zh.TEXTS[code]) == _placeholders(en.TEXTS[code])


def test_every_code_in_the_source_has_a_sentence() -> None:
    assert _codes_in_source() - en.TEXTS.keys() == set()


def test_every_sentence_is_used() -> None:
    assert en.TEXTS.keys() - _codes_in_source() == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_that_is_not_utf8_is_shown_escaped(language: str) -> None:
    shown = text("zh" if language == "zh" else "en", "source.missing", {"path": "a\udcff"})
    assert "\\udcff" in shown
    shown.encode()


def test_an_error_speaks_both_languages_and_english_by_default() -> None:
    error = StoreError("store.full", status=507)
    assert str(error) == error.message("en")
    assert "507" in error.message("zh")
    assert error.message("zh") != error.message("en")
