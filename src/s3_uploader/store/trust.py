"""Which certificate authorities are trusted, for the connections of both lanes."""

import os
import ssl
import stat
from importlib.util import find_spec
from pathlib import Path

from s3_uploader.config import UploadConfig
from s3_uploader.errors import ConfigError

_SETTING, _AWS_VARIABLE = "S3_UPLOADER_CA_BUNDLE", "AWS_CA_BUNDLE"


def tls_context(config: UploadConfig, *, aws_config: str = "") -> ssl.SSLContext:
    """Return a context that verifies a server's certificates and its name. Blocks on the disk.

    Trusted are the authorities of the setting `ca_bundle`, else of AWS_CA_BUNDLE, else of
    `aws_config`, else certifi's, else botocore's, else the system's: Debian ships both packages
    without a bundle.

    Args:
        config: the settings.
        aws_config: what `ca_bundle` of an AWS profile names, "" for nothing.

    Raises:
        ConfigError: "config.ca_unreadable" or "config.ca_not_pem" names the bundle that is to be
            trusted and where its path stands.
    """
    named = _named(config, aws_config)
    context = _of_bundle(*named) if named else ssl.create_default_context(cafile=_packaged())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _named(config: UploadConfig, aws_config: str) -> tuple[str, str] | None:
    """Return the path of the bundle somebody asks for, and where it stands; None for no bundle."""
    if config.ca_bundle:
        in_environment = os.environ.get(_SETTING, "").strip() == config.ca_bundle
        return config.ca_bundle, _SETTING if in_environment else "ca_bundle"
    if path := os.environ.get(_AWS_VARIABLE):
        return path, _AWS_VARIABLE
    return (aws_config, "ca_bundle (AWS)") if aws_config else None


def _of_bundle(path: str, origin: str) -> ssl.SSLContext:
    named = {"origin": origin, "path": path}
    try:
        # Opening a fifo would wait for a writer.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ConfigError("config.ca_not_pem", **named, reason="no regular file")
        context = ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        reason = (error.reason or "SSLError").replace("_", " ").lower()
        raise ConfigError("config.ca_not_pem", **named, reason=reason) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError("config.ca_unreadable", **named, reason=reason) from error
    if not context.cert_store_stats()["x509"]:
        raise ConfigError("config.ca_not_pem", **named, reason="no certificate")
    return context


def _packaged() -> str | None:
    """Return the bundle of certifi or botocore, None for the system's own."""
    # Found without importing either, which would cost more than the handshake.
    for package in ("certifi", "botocore"):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            bundle = Path(spec.origin).with_name("cacert.pem")
            if bundle.is_file():
                return str(bundle)
    return None
