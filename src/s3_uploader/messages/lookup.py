"""Turn a message code and its parameters into a sentence."""

from collections.abc import Mapping
from typing import Literal, get_args

from s3_uploader.messages import en, zh
from s3_uploader.messages.printable import printable

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_TABLES: dict[Language, Mapping[str, str]] = {"zh": zh.TEXTS, "en": en.TEXTS}


def text(language: Language, code: str, params: Mapping[str, object] | None = None) -> str:
    """Return the sentence of `code` in `language`, with `params` filled in.

    What is filled in comes from file names, from stores and from other people's settings: it is
    shown escaped where it holds what a terminal would act on, or bytes that are not UTF-8. So the
    sentence can always be written, and says what it seems to say.
    """
    return _TABLES[language][code].format_map(
        {name: _shown(value) for name, value in (params or {}).items()}
    )


def _shown(value: object) -> object:
    return value if isinstance(value, int | float) else printable(str(value))
