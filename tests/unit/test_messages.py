"""Every language has the same sentences, in the same files, and none that is never said."""

import ast
import copy
import json
import pickle
import re
import string
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from hypothesis import given, strategies

import s3_uploader
from s3_uploader import (
    FileComparison,
    FileOutcome,
    StoreError,
    UploadFailedError,
    VerifyFailedError,
    messages,
)
from s3_uploader.consumers import LogConsumer, RecordConsumer
from s3_uploader.events import CallStarted, FileFailed, ScanFinished
from s3_uploader.messages import LANGUAGES, Language, Sentence, printable, text

_PACKAGE = Path(s3_uploader.__file__).parent
_TEXTS: dict[Language, dict[str, str]] = {
    language: import_module(f"s3_uploader.messages.{language}").TEXTS for language in LANGUAGES
}
_CODES = _TEXTS["en"].keys()
_SUBJECTS = {code.partition(".")[0] for code in _CODES}
_CODE = re.compile(rf"({'|'.join(_SUBJECTS)})\.(?!pem$|json$|db$)[a-z0-9_]+")


_STARTED = CallStarted(
    call=1,
    at=0.0,
    kind="upload_file",
    source="/s",
    target="t",
    endpoint="http://h",
    region="r",
    bucket="b",
    provider="generic",
)


def _placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def _trees() -> Iterator[ast.Module]:
    for path in _PACKAGE.rglob("*.py"):
        if "messages" not in path.parts:
            yield ast.parse(path.read_text(encoding="utf-8"))


def _codes_in(node: ast.AST, *, said: bool) -> Iterator[str]:
    """Yield the codes below a node; those only that are `said`: not just compared with."""
    if isinstance(node, ast.Constant) and _CODE.fullmatch(str(node.value)):
        yield str(node.value)
    if said and isinstance(node, ast.Compare | ast.Set):
        return
    for child in ast.iter_child_nodes(node):
        yield from _codes_in(child, said=said)


def _files(language: Language) -> dict[str, dict[str, str]]:
    """Return the sentences of each file of a language's package."""
    package = import_module(f"s3_uploader.messages.{language}")
    return {
        module.name: import_module(f"{package.__name__}.{module.name}").TEXTS
        for module in iter_modules(package.__path__)
    }


def test_every_package_of_messages_is_a_language_to_choose() -> None:
    packages = {module.name for module in iter_modules(messages.__path__) if module.ispkg}
    assert packages == set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_have_the_same_codes_in_the_same_files(language: Language) -> None:
    files = _files(language)
    assert {name: texts.keys() for name, texts in files.items()} == {
        name: texts.keys() for name, texts in _files("en").items()
    }
    assert sum(len(texts) for texts in files.values()) == len(_TEXTS[language])
    assert _TEXTS[language].keys() == _CODES


@pytest.mark.parametrize("subject", sorted(_SUBJECTS))
def test_codes_of_one_subject_stand_in_one_file(subject: str) -> None:
    """So that the first word of a code is enough to find its sentence."""
    files = _files("en").items()
    assert (
        len([name for name, texts in files if any(c.startswith(f"{subject}.") for c in texts)]) == 1
    )


@pytest.mark.parametrize("code", _CODES)
def test_languages_have_the_same_placeholders(code: str) -> None:
    for texts in _TEXTS.values():
        assert _placeholders(texts[code]) == _placeholders(_TEXTS["en"][code])


def test_every_code_in_the_source_has_a_sentence() -> None:
    assert {code for tree in _trees() for code in _codes_in(tree, said=False)} - _CODES == set()


def test_every_sentence_is_said() -> None:
    """A code that the source only compares with is one that nothing says any more."""
    assert _CODES - {code for tree in _trees() for code in _codes_in(tree, said=True)} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_name_that_is_not_utf8_is_shown_escaped(language: Language) -> None:
    shown = text(language, "source.missing", {"path": "a\udcff"})
    assert "\\udcff" in shown
    shown.encode()


_HIDDEN = [
    *(chr(code) for code in (0, 7, 8, 9, 10, 13, 27, 0x7F, 0x80, 0x85, 0x9B, 0x9F)),
    *(chr(code) for code in (0x061C, 0x200B, 0x200E, 0x200F, 0x2028, 0x2029, 0x2060, 0xFEFF)),
    *(chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xAD, 0xE0041)),
    *("\u200c", "\u200d", "\udc80"),
]


@pytest.mark.parametrize("char", _HIDDEN, ids=ascii)
@pytest.mark.parametrize("language", LANGUAGES)
def test_invisible_or_control_character_is_shown_escaped(language: Language, char: str) -> None:
    """In what a store says as in a name: it would clear a terminal, or turn the text around."""
    shown = text(language, "source.missing", {"path": f"a{char}b"})
    assert f"a{char.encode('unicode_escape').decode()}b" in shown
    assert char not in shown
    error = StoreError("store.rejected", operation="PutObject", key="k", detail=f"a{char}b")
    assert char not in error.message(language) + str(error)


@pytest.mark.parametrize(
    "name",
    [
        "模型　权重.bin",
        "naïve café.txt",
        "a\u00a0b",
        "👩🏽\u200d💻.png",
        "❤\ufe0f\u200d🔥",
        "👨\u200d👩\u200d👧",
        "🙂\u200d↔\ufe0f",
        "\U0001faea\u200d\U0001faeb new",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "می\u200cخواهم",
        "क्\u200dष क्\u200cष",
        "C:\\models\\x",
    ],
)
def test_ordinary_name_is_shown_unchanged(name: str) -> None:
    assert printable(name) == name
    assert f"'{name}'" in text("en", "source.missing", {"path": name})


@pytest.mark.parametrize(
    "name",
    ["\u200d💻", "👩\u200d", "模\u200d型", "a\u200c", "🏴\U000e0067", "x\U000e0067\U000e007f"],
)
def test_joiner_that_joins_nothing_is_shown_escaped(name: str) -> None:
    assert "\\u200" in printable(name) or "\\U000e" in printable(name)


@given(strategies.text())
def test_escaping_is_idempotent(value: str) -> None:
    """A reason is a sentence already when it is filled into another."""
    shown = printable(value)
    assert printable(shown) == shown
    shown.encode()
    assert "\n" not in shown


def test_every_consumer_shows_a_name_escaped(caplog: pytest.LogCaptureFixture) -> None:
    name = "model\u202enib.exe"
    failed = FileFailed(
        call=1,
        at=0.0,
        file=0,
        name=name,
        key=name,
        size=1,
        code="store.rejected",
        params={
            "operation": "PutObject",
            "key": name,
            "status": 400,
            "s3_code": "X",
            "detail": "\x9b",
        },
        seconds=0.0,
    )
    lines: list[str] = []
    log = LogConsumer("en", lines.append)
    log(replace(_STARTED, kind="upload_directory"))
    log(ScanFinished(call=1, at=0.0, files=1, size=1))
    for consumer in (log, RecordConsumer("zh")):
        consumer(failed)
    shown = "\n".join(lines) + caplog.text
    assert shown.count(r"model\u202enib.exe") >= 4
    assert r"\x9b" in shown
    assert "\u202e" not in shown
    assert "\x9b" not in shown


def test_numbers_are_filled_in_as_numbers() -> None:
    assert "25.0%" in text(
        "en", "log.progress", {"percent": 25, "done": "", "size": "", "speed": ""}
    )


def test_error_speaks_both_languages_and_english_by_default() -> None:
    error = StoreError("store.full", status=507)
    assert str(error) == error.message("en")
    assert "507" in error.message("zh")
    assert error.message("zh") != error.message("en")


_FULL = StoreError("store.full", status=507)
_UNKNOWN = {"key": "k\u202e", "reason": _FULL.sentence}


@pytest.mark.parametrize("language", LANGUAGES)
def test_nested_sentence_is_in_the_same_language(language: Language) -> None:
    """At any depth: a report names the file, its outcome the cause."""
    outcome = FileOutcome(
        name="f",
        key="k",
        size=1,
        seconds=0.1,
        error="outcome.unknown",
        params=_UNKNOWN,
        unknown=True,
    )
    with pytest.raises(UploadFailedError) as raised:
        outcome.raise_for_failure()
    assert outcome.message(language) in raised.value.message(language)
    for other in LANGUAGES:
        shown = _FULL.message(other) in raised.value.message(language)
        assert shown == (other == language)
    assert "\u202e" not in raised.value.message(language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", ["", "store.full"])
def test_difference_is_raised_in_one_language(language: Language, code: str) -> None:
    file = FileComparison(
        name="f",
        key="k",
        size=1,
        result="failed" if code else "different",
        code=code,
        params=_FULL.params,
    )
    with pytest.raises(VerifyFailedError) as raised:
        file.raise_for_difference()
    for other in LANGUAGES:
        assert (file.message(other) in raised.value.message(language)) == (other == language)


def test_sentence_is_an_english_string_that_survives_every_copy() -> None:
    sentence = Sentence("outcome.unknown", _UNKNOWN)
    assert sentence == text("en", "outcome.unknown", _UNKNOWN)
    assert json.loads(json.dumps(sentence)) == sentence
    for copied in (copy.deepcopy(sentence), pickle.loads(pickle.dumps(sentence))):  # noqa: S301
        assert copied.translated("zh") == sentence.translated("zh")
        assert str(_FULL) not in copied.translated("zh")
