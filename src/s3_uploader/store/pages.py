"""Go through the pages of a listing, whichever lane fetches them, and never for ever."""

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from s3_uploader.errors import StoreError
from s3_uploader.store.errors import Request
from s3_uploader.store.values import ListedPage, StoredPart, UploadInfo

T = TypeVar("T")
M = TypeVar("M")

_MAX_PAGES = 1_000
_MAX_ITEMS = 200_000
"""A listing of 1,000 pages of 1,000, or of so many items, is given up: it may have no end."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T, M]):
    """A page of a listing; `marker` asks for the next one, None on the last."""

    items: list[T]
    marker: M | None


PartsPage = Page[StoredPart, int]
UploadsPage = Page[UploadInfo, tuple[str, str]]
"""The marker is a key and an upload id."""

ObjectsPage = tuple[ListedPage, str | None]
"""A page of a bucket's objects and the token that asks for the next one, None on the last."""


async def all_items(
    request: Request, fetch: Callable[[M | None], Awaitable[Page[T, M]]]
) -> list[T]:
    """Return the items of all pages that `fetch` returns for one marker after the other.

    Raises:
        StoreError: "store.bad_listing": a marker comes again, a page promises more and holds
            nothing, or there are too many; and what `fetch` raises.
    """
    items: list[T] = []
    seen: set[M] = set()
    marker: M | None = None
    while True:
        page = await fetch(marker)
        items += page.items
        marker = page.marker
        if marker is None:
            return items
        endless = len(seen) >= _MAX_PAGES or len(items) > _MAX_ITEMS
        if endless or marker in seen or not page.items:
            raise _bad_listing(request)
        seen.add(marker)


async def all_pages(
    request: Request, fetch: Callable[[str | None], Awaitable[ObjectsPage]]
) -> AsyncGenerator[ListedPage]:
    """Yield the pages of objects that `fetch` returns for one token after the other.

    A bucket may hold any number of keys, so their number says nothing, and not every token is
    remembered: each page is compared with one earlier page, replaced at each power of two, which
    meets every circle (Brent's algorithm).

    Raises:
        StoreError: "store.bad_listing": a token or the last key of a page comes again, or a page
            promises more and holds nothing; and what `fetch` raises.
    """
    token: str | None = None
    earlier = ("", "")
    for number in itertools.count(1):
        page, token = await fetch(token)
        if token is not None:
            last = page.objects[-1].key if page.objects else "".join(page.prefixes[-1:])
            if not last or token == earlier[0] or last == earlier[1]:
                raise _bad_listing(request)
            if number.bit_count() == 1:
                earlier = (token, last)
        yield page
        if token is None:
            return


def _bad_listing(request: Request) -> StoreError:
    return StoreError("store.bad_listing", operation=request.operation, key=request.key)
