"""The version, as the distribution and the user agent name it."""

__version__ = "0.1.0"
