"""Turn a message code and its parameters into a sentence."""

from collections.abc import Mapping
from importlib import import_module
from typing import Literal, Self, get_args

from s3_uploader.messages.printable import printable

Language = Literal["zh", "en"]
"""Each is the name of a package beside this module, whose `TEXTS` has a sentence for every code."""

LANGUAGES: tuple[Language, ...] = get_args(Language)

# Not loaded when the first message is shown, which may say that no file can be opened.
_TABLES: Mapping[Language, Mapping[str, str]] = {
    language: import_module(f"s3_uploader.messages.{language}").TEXTS for language in LANGUAGES
}


def text(language: Language, code: str, params: Mapping[str, object] | None = None) -> str:
    """Return the sentence of `code` in `language`, with `params` filled in.

    Parameters come from file names, from stores and from other people's settings: characters that
    a terminal would act on, and bytes that are not UTF-8, are escaped. So the sentence can always be
    written, and says what it appears to say.
    """
    return _TABLES[language][code].format_map(
        {name: _shown(language, value) for name, value in (params or {}).items()}
    )


class Sentence(str):
    """A message as a parameter of another message, which shows it in its own language.

    Everywhere else it is its English text, and can be written as JSON like any other string.
    """

    __slots__ = ("code", "params")
    code: str
    params: Mapping[str, object]

    def __new__(cls, code: str, params: Mapping[str, object]) -> Self:
        """Return the sentence of `code` with `params` filled in."""
        self = super().__new__(cls, text("en", code, params))
        self.code, self.params = code, params
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return Sentence, (self.code, self.params)

    def translated(self, language: Language) -> str:
        """Return the sentence in `language`."""
        return text(language, self.code, self.params)


def _shown(language: Language, value: object) -> object:
    if isinstance(value, Sentence):
        return value.translated(language)
    return value if isinstance(value, int | float) else printable(str(value))
