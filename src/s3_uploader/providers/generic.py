"""A store about which nothing is known, except that it speaks S3."""

from s3_uploader.providers.base import Provider

GENERIC = Provider(name="generic")
