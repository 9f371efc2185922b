"""Every sentence a person reads, one package per language, looked up by code."""

from s3_uploader.messages.lookup import LANGUAGES, Language, Sentence, text
from s3_uploader.messages.printable import printable

__all__ = ["LANGUAGES", "Language", "Sentence", "printable", "text"]
