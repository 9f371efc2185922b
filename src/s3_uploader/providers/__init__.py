"""What is known about each kind of store, in one short file each; `by_host` chooses."""

from s3_uploader.providers.aws import AMAZON
from s3_uploader.providers.base import Capabilities, Limits, Provider, Quirks, Tuning
from s3_uploader.providers.by_host import (
    BY_DOMAIN,
    BY_NAME,
    ProviderChoice,
    is_foreign_secret,
    provider_at,
    provider_named,
)
from s3_uploader.providers.generic import GENERIC
from s3_uploader.providers.runpod import RUNPOD

__all__ = [
    "AMAZON",
    "BY_DOMAIN",
    "BY_NAME",
    "GENERIC",
    "RUNPOD",
    "Capabilities",
    "Limits",
    "Provider",
    "ProviderChoice",
    "Quirks",
    "Tuning",
    "is_foreign_secret",
    "provider_at",
    "provider_named",
]
