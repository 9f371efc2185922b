"""Every sentence a person reads, one module per language, looked up by code."""

from s3_uploader.messages.lookup import LANGUAGES, Language, text

__all__ = ["LANGUAGES", "Language", "text"]
