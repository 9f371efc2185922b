"""Decide, without I/O, whether a redirect is one that S3 means.

S3 redirects to another address of the same bucket (S3 User Guide, "Making requests using the REST
API", "Request redirection"): the same key, at a host of the same provider. Nothing else is
followed: what would go there is a body, a signature and perhaps a session token.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from s3_uploader.errors import StoreError
from s3_uploader.providers.by_host import DOMAINS
from s3_uploader.store.errors import Request
from s3_uploader.store.sigv4 import quote_path

REDIRECTS = frozenset({301, 302, 307, 308})
MAX_HOPS = 3
"""Redirects of one request; S3 sends one."""

_SHORT_LABEL = 3
"""Letters that the last label but one has at most where names are registered below it: co.uk."""

_DOMAINS = tuple(f".{domain}" for domain in DOMAINS)

_ADDRESS = re.compile(r"[\d.]+|.*:.*")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a bucket is: scheme, host and port of its URL, and the path that its keys follow."""

    endpoint: str
    base_path: str


def follow(request: Request, at: Target, key_path: str, location: str, *, status: int) -> Target:
    """Return where the bucket is now.

    Args:
        request: what was asked, for messages.
        at: where it was asked.
        key_path: the path below the bucket's, percent-encoded, with its "/"; "" for the bucket's.
        location: the response's Location header.
        status: the response's.

    Raises:
        StoreError: it is not followed; "store.redirected…" says why and names where it points.
    """
    target = _parsed(f"{at.endpoint}{at.base_path}{key_path}", location)
    if target is None:
        raise _refused(request, status, "store.redirected", target=_printable(location))
    endpoint, host, path = target
    secure, was_secure = endpoint.startswith("https:"), at.endpoint.startswith("https:")
    if was_secure and not secure:
        raise _refused(request, status, "store.redirected_to_http", target=endpoint)
    base_path = path.removesuffix(key_path).rstrip("/")
    of_bucket = base_path.endswith(f"/{quote_path(request.bucket)}")
    of_bucket = of_bucket or (not base_path and host.startswith(f"{request.bucket.lower()}."))
    same_key = path.endswith(key_path) and of_bucket
    if not same_key or not _related(urlsplit(at.endpoint).hostname or "", host):
        raise _refused(request, status, "store.redirected", target=endpoint)
    if secure and not was_secure:
        raise moved(request, status, endpoint)
    return Target(endpoint, base_path)


def moved(request: Request, status: int, endpoint: str) -> StoreError:
    """Return the error that names the endpoint to set, where a lane does not go there by itself."""
    return _refused(request, status, "store.moved", target=endpoint, suggestion=f"{endpoint}/")


def _refused(request: Request, status: int, code: str, **where: Any) -> StoreError:
    return StoreError(
        code,
        status=status,
        # One key may be redirected by something in between; before any success, all of them are.
        fatal=not request.trusted,
        operation=request.operation,
        key=request.key,
        endpoint=request.endpoint,
        **where,
    )


def _parsed(base: str, location: str) -> tuple[str, str, str] | None:
    """Return endpoint, host and path that `location` names; None where it names none of HTTP."""
    if not location:
        return None
    try:
        parts = urlsplit(urljoin(base, location))
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc:
        return None
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}", host, parts.path


def _printable(location: str) -> str:
    """Return what can be shown of a Location: without userinfo, query or control characters."""
    shown = re.sub(r"//.*@", "//", location.partition("?")[0])
    return "".join(filter(str.isprintable, shown))[:200] or "-"


def _related(host: str, other: str) -> bool:
    """Whether two hosts are of the same registered domain, as far as their names show.

    Without a list of public suffixes, the domain above the first label is taken; one of two short
    labels, such as co.uk, is where others register too.
    """
    host, other = host.lower().rstrip("."), other.lower().rstrip(".")
    if host == other:
        return True
    if _ADDRESS.fullmatch(host) or _ADDRESS.fullmatch(other):
        return False
    if other.endswith(f".{host}") and "." in host:
        return True
    _, _, parent = host.partition(".")
    labels = parent.split(".")
    public = len(labels) < 2 or (len(labels) == 2 and len(labels[0]) <= _SHORT_LABEL)  # noqa: PLR2004
    provider = next((domain for domain in _DOMAINS if host.endswith(domain)), None)
    if provider is not None:
        return other.endswith(provider)
    return not public and other.endswith(f".{parent}")
