"""The proxy that the environment sets for an endpoint, and where it is set."""

import os
import re
from dataclasses import dataclass
from importlib import import_module
from urllib.parse import urlsplit

from s3_uploader.errors import ConfigError

_SCHEMES = frozenset({"http://", "https://"})
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_AWS = "https://s3.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, as messages name it.

    Attributes:
        url: its URL without user name and password.
        variable: the environment variable that sets it.
        address: its host in lower case and its port; ("", 0) if the URL is none.
    """

    url: str
    variable: str
    address: tuple[str, int] = ("", 0)


def proxy_for(endpoint_url: str) -> Proxy | None:
    """Return the proxy for an endpoint ("" is Amazon's), as botocore finds it; None for none.

    That is the variable named for the endpoint's scheme, unless NO_PROXY has its host; ALL_PROXY
    is not looked at.
    """
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    requests = import_module("urllib.request")
    parts = urlsplit(endpoint_url or _AWS)
    url = requests.getproxies().get(parts.scheme, "")
    if not url or requests.proxy_bypass(parts.netloc):
        return None
    # Where both are set urllib takes the one in lower case.
    variables = sorted(name for name in os.environ if name.lower() == f"{parts.scheme}_proxy")
    variable = variables[-1] if variables else "system"
    return Proxy(_without_userinfo(url), variable, _address(url))


def check_proxy(proxy: Proxy) -> None:
    """Raise ConfigError unless the proxy is one for HTTP: those are all aiohttp speaks to."""
    scheme = _SCHEME.match(proxy.url)
    if scheme and scheme[0].lower() not in _SCHEMES:
        raise ConfigError("config.proxy_scheme", proxy=proxy.url, variable=proxy.variable)
    if not proxy.address[0]:
        raise ConfigError("config.bad_proxy", proxy=proxy.url, variable=proxy.variable)


def _without_userinfo(url: str) -> str:
    # Up to the last @, whatever is before it: a password may hold any character.
    scheme = _SCHEME.match(url)
    return (scheme[0] if scheme else "") + url[scheme.end() if scheme else 0 :].rpartition("@")[2]


def _address(url: str) -> tuple[str, int]:
    """Return host and port, ("", 0) if the URL is none."""
    try:
        parts = urlsplit(url if _SCHEME.match(url) else f"http://{url.removeprefix('//')}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "", 0
    return parts.hostname or "", port
