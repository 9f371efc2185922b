"""Every sentence a person reads, one module per language, looked up by code."""

from s3_uploader.messages.lookup import LANGUAGES, Language, text
from s3_uploader.messages.printable import printable

__all__ = ["LANGUAGES", "Language", "printable", "text"]
