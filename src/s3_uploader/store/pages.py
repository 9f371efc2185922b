"""Go through the pages of a listing, whichever lane fetches them, and never for ever."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from s3_uploader.errors import StoreError
from s3_uploader.store.base import StoredPart, UploadInfo
from s3_uploader.store.errors import Request

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
            raise StoreError("store.bad_listing", operation=request.operation, key=request.key)
        seen.add(marker)
