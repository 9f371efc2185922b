"""Listings of a bucket: page after page, however many, and never for ever."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs

import anyio
import pytest

from lanes import Server, open_lane
from s3_uploader import StoreError
from s3_uploader.store import BytesBody, ListedObject, ListedPage, ObjectStore, PutOptions
from s3_uploader.store.errors import Request
from s3_uploader.store.pages import ObjectsPage, all_pages
from scripted_server import Handler, ReceivedRequest, open_lane_to, response, scripted_server

pytestmark = pytest.mark.anyio

BOTH = ["wire", "boto"]


def _page(keys: list[str], token: str = "") -> bytes:
    contents = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
    end = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    body = (
        f"<ListBucketResult><IsTruncated>{'true' if token else 'false'}</IsTruncated>{contents}"
        f"{end}</ListBucketResult>"
    )
    return response(body.encode(), etag="")


def _listing(pages: Iterator[bytes]) -> Handler:
    async def handle(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(next(pages))

    return handle


async def _keys(store: ObjectStore, prefix: str, **where: str) -> list[str]:
    pages = store.list_objects(prefix, **where)
    with anyio.fail_after(60):
        return [found.key async for page in pages for found in page.objects]


@pytest.mark.parametrize("lane", BOTH)
async def test_each_page_is_requested_with_the_token_of_the_last(lane: str) -> None:
    """A token is the store's own and goes back as it came; start-after begins the first page."""
    pages = iter([_page(["p/a", "p/b"], "a b+%2F"), _page(["p/c"], "2="), _page(["p/d"])])
    async with scripted_server(_listing(pages)) as server, open_lane_to(server, lane) as store:
        found = await _keys(store, "p/", start_after="p/ +", delimiter="|")
    assert found == ["p/a", "p/b", "p/c", "p/d"]
    asked = [
        parse_qs(request.target.partition("?")[2], strict_parsing=True)
        for request in server.requests
    ]
    same = {"list-type": ["2"], "encoding-type": ["url"], "prefix": ["p/"], "delimiter": ["|"]}
    assert asked == [
        {**same, "start-after": ["p/ +"]},
        {**same, "continuation-token": ["a b+%2F"]},
        {**same, "continuation-token": ["2="]},
    ]


@pytest.mark.parametrize("lane", BOTH)
async def test_page_is_requested_once_the_last_was_consumed(lane: str) -> None:
    """So a listing of any length is held a page at a time."""
    pages = (_page([f"p/{number}"], str(number)) for number in itertools.count(1))
    async with scripted_server(_listing(pages)) as server, open_lane_to(server, lane) as store:
        taken = 0
        async for page in store.list_objects("p/"):
            taken += 1
            assert [found.key for found in page.objects] == [f"p/{taken}"]
            assert len(server.requests) == taken
            if taken == 20:
                break


def _ring(length: int) -> Iterator[bytes]:
    return (_page([f"p/{number}"], str(number % length)) for number in itertools.count())


_ENDLESS: dict[str, Callable[[], Iterator[bytes]]] = {
    "the-same-token": lambda: _ring(1),
    "a-ring-of-tokens": lambda: _ring(5),
    "a-ring-behind-a-tail": lambda: itertools.chain(
        (_page([f"p/t{number}"], f"t{number}") for number in range(10)), _ring(7)
    ),
    "the-same-page": lambda: (_page(["p/a"], str(number)) for number in itertools.count()),
    "a-ring-of-pages": lambda: (
        _page([f"p/{number % 3}"], str(number)) for number in itertools.count()
    ),
    "nothing": lambda: (_page([], str(number)) for number in itertools.count()),
}


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("name", list(_ENDLESS))
async def test_endless_listing_is_an_error(lane: str, name: str) -> None:
    async with (
        scripted_server(_listing(_ENDLESS[name]())) as server,
        open_lane_to(server, lane) as store,
    ):
        with pytest.raises(StoreError) as caught:
            await _keys(store, "p/")
    assert (caught.value.code, caught.value.retryable) == ("store.bad_listing", False)
    assert len(server.requests) < 40


async def test_listing_may_be_longer_than_any_bound() -> None:
    """More pages, and more objects, than any other listing may have."""
    pages, size = 250_000, 0

    async def fetch(token: str | None) -> ObjectsPage:
        number = int(token or 0) + 1
        page = ListedPage([ListedObject(f"{number:07}", 1)], [])
        return page, None if number == pages else str(number)

    async for page in all_pages(Request("ListObjectsV2", "", "b", "e"), fetch):
        size += len(page.objects)
    assert size == pages


@pytest.mark.parametrize("lane", ["memory", "wire-http", "boto-http", "wire-rclone"])
async def test_more_objects_than_a_page_holds_are_listed_once_each(
    lane: str, lane_server: Server, prefix: str
) -> None:
    names = [f"{prefix}/{number:04}" for number in range(1_005)]
    rest = iter(names)
    async with open_lane(lane, lane_server) as store:

        async def put() -> None:
            for name in rest:
                await store.put_object(name, BytesBody(b"x"), PutOptions("a/b"))

        async with anyio.create_task_group() as tasks:
            for _ in range(16):
                tasks.start_soon(put)
        pages = [page async for page in store.list_objects(f"{prefix}/")]
        assert [len(page.objects) for page in pages] == [1_000, 5]
        assert [found.key for page in pages for found in page.objects] == names
        behind = await _keys(store, f"{prefix}/", start_after=names[1_002])
        assert behind == names[1_003:]
