"""Choose the provider of a store: by the host of its endpoint, or by name."""

from typing import Literal
from urllib.parse import urlsplit

from s3_uploader.providers.aws import AMAZON
from s3_uploader.providers.b2 import B2
from s3_uploader.providers.base import Provider
from s3_uploader.providers.ceph import CEPH
from s3_uploader.providers.gcs import GCS
from s3_uploader.providers.generic import GENERIC
from s3_uploader.providers.minio import MINIO
from s3_uploader.providers.r2 import R2
from s3_uploader.providers.runpod import RUNPOD
from s3_uploader.providers.scaleway import SCALEWAY
from s3_uploader.providers.seaweedfs import SEAWEEDFS

ProviderChoice = Literal[
    "auto",
    "aws",
    "b2",
    "ceph",
    "gcs",
    "generic",
    "minio",
    "r2",
    "runpod",
    "scaleway",
    "seaweedfs",
]
"""The values of a setting: a name, or "auto" to choose by the host."""

_PROVIDERS = (AMAZON, B2, CEPH, GCS, GENERIC, MINIO, R2, RUNPOD, SCALEWAY, SEAWEEDFS)

BY_NAME = {provider.name: provider for provider in _PROVIDERS}

BY_DOMAIN = {domain: provider for provider in _PROVIDERS for domain in provider.domains}
"""A host belongs to a domain if it is that domain or below it."""

DOMAINS = (*BY_DOMAIN, "digitaloceanspaces.com", "wasabisys.com")
"""Domains whose hosts are all one provider's, described here or not."""


def provider_at(endpoint_url: str) -> Provider:
    """Return the provider of the endpoint at a URL, the generic one for an unknown host."""
    host = (urlsplit(endpoint_url).hostname or "").rstrip(".")
    for domain, provider in BY_DOMAIN.items():
        if f".{host}".endswith(f".{domain}"):
            return provider
    return GENERIC


def provider_named(name: str) -> Provider:
    """Return the provider of a name, the generic one for an unknown name."""
    return BY_NAME.get(name, GENERIC)


_FOREIGN = tuple(provider.foreign_secret for provider in _PROVIDERS if provider.foreign_secret)


def is_foreign_secret(secret_key: str) -> bool:
    """Return whether some provider issues such secret keys for an API that is not S3."""
    return secret_key.startswith(_FOREIGN)
