"""Turn a message code and its parameters into a sentence."""

from collections.abc import Mapping
from typing import Literal, get_args

from s3_uploader.messages import en, zh

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_TABLES: dict[Language, Mapping[str, str]] = {"zh": zh.TEXTS, "en": en.TEXTS}


def text(language: Language, code: str, params: Mapping[str, object] | None = None) -> str:
    """Return the sentence of `code` in `language`, with `params` filled in.

    File names may hold bytes that are not UTF-8 (surrogates); they are shown escaped, so the
    sentence can always be written to a terminal or a log.
    """
    sentence = _TABLES[language][code].format_map(dict(params or {}))
    return sentence.encode("utf-8", "backslashreplace").decode("utf-8")
