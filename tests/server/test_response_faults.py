"""Mutations of responses, seen by a plain HTTP client: each does what it says, and no more."""

import http.client
import re
import urllib.request
from contextlib import closing
from typing import Any

import pytest

from presigned import Client, Connect
from s3_uploader.testing import (
    Chunk,
    Combined,
    Effect,
    Fault,
    FaultProxy,
    Flood,
    Header,
    LocalS3Server,
    Namespace,
    Pace,
    Record,
    RepeatToken,
    ReplaceBody,
    Reset,
    Respond,
    SetElement,
    StartFaultProxy,
    Status,
    Truncate,
    parse_fault,
)
from s3_uploader.testing.faults.delivery import Delivery, PassBody, Send
from s3_uploader.testing.faults.documents import with_elements, with_namespace
from s3_uploader.testing.faults.http import Head
from s3_uploader.testing.faults.mutations import DOCUMENTS
from s3_uploader.testing.faults.spec import fault_text

pytest_plugins = ["s3_uploader.testing.pytest_plugin"]

MD5_OF_ABC = "900150983cd24fb0d6963f7d28e17f72"

Raw = tuple[int, list[tuple[str, str]], bytes]


class Behind:
    """A client of a proxy; faults are given one after the other."""

    def __init__(self, proxy: FaultProxy, client: Client) -> None:
        self.proxy = proxy
        self.client = client

    def raw(self, operation: str, effect: Effect, body: bytes = b"", **params: Any) -> Raw:
        """Return status, header lines and the bytes after them, of a request with an effect."""
        self.proxy.clear()
        self.proxy.inject(Fault(operation, effect))
        head, _, rest = self.client.raw(operation, body, **params).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        return int(first.split(" ")[1]), headers, rest


@pytest.fixture
def behind(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> Behind:
    """A client behind a proxy, with an object "abc" at the key `prefix`."""
    proxy = s3_fault_proxy(server)
    client = client_of(proxy)
    assert client.call("PutObject", b"abc", Key=prefix).status == 200
    return Behind(proxy, client)


# ---------------------------------------------------------------------------- status and headers


def test_status_is_changed_after_the_server_has_done_it(behind: Behind, prefix: str) -> None:
    status, headers, _ = behind.raw("PutObject", Status(502), b"new", Key=prefix)
    record = behind.proxy.log[-1]
    assert (status, record.status, record.upstream_status) == (502, 502, 200)
    assert "ETag" in dict(headers)
    assert behind.client.call("GetObject", Key=prefix).body == b"new"


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (Header("ETag"), []),
        (Header("etag", "drop"), []),
        (Header("ETag", "double"), [f'"{MD5_OF_ABC}"'] * 2),
        (Header("ETag", "double", "x"), [f'"{MD5_OF_ABC}"', "x"]),
        (Header("ETag", "unquote"), [MD5_OF_ABC]),
        (Header("ETag", "set", "W/"), ["W/"]),
        (Header("ETag", "set"), [""]),
        (Header("ETag", "unquote") + Header("ETag", "double"), [MD5_OF_ABC] * 2),
    ],
)
@pytest.mark.parametrize("operation", ["PutObject", "HeadObject"])
def test_header_is_changed(
    behind: Behind, prefix: str, operation: str, effect: Effect, expected: list[str]
) -> None:
    body = b"abc" if operation == "PutObject" else b""
    status, headers, _ = behind.raw(operation, effect, body, Key=prefix)
    assert status == 200
    assert [value for name, value in headers if name.lower() == "etag"] == expected
    assert ("Content-Length", str(3 - len(body))) in headers


def test_header_name_changes_its_case(behind: Behind, prefix: str) -> None:
    _, headers, _ = behind.raw("HeadObject", Header("date", "case"), Key=prefix)
    assert [name for name, _ in headers if name.lower() == "date"] == ["dATE"]


def test_absent_header_is_set(behind: Behind, prefix: str) -> None:
    _, headers, rest = behind.raw("GetObject", Header("X-New", "set", "1"), Key=prefix)
    assert headers.count(("X-New", "1")) == 1
    assert rest == b"abc"


def test_malformed_length_does_not_hold_the_body_back(behind: Behind, prefix: str) -> None:
    effect = Header("Content-Length", "set", "three")
    _, headers, rest = behind.raw("GetObject", effect, Key=prefix)
    assert ("Content-Length", "three") in headers
    assert rest == b"abc"


def test_response_without_a_length_ends_with_its_connection(behind: Behind, prefix: str) -> None:
    """The client asks to keep it; the server's own connection is kept."""
    behind.proxy.inject(Fault("GetObject", Header("Content-Length"), nth=1))
    with closing(behind.client.connect()) as connection:
        got = behind.client.call("GetObject", over=connection, Key=prefix)
        assert (got.body, "content-length" in got.headers) == (b"abc", False)
        assert connection.sock is None


# ------------------------------------------------------------------------------ bodies and XML


@pytest.mark.parametrize("by", ["", *DOCUMENTS, "anything: at=all"])
def test_body_is_replaced_with_a_matching_length(behind: Behind, prefix: str, by: str) -> None:
    status, headers, rest = behind.raw("GetObject", ReplaceBody(by), Key=prefix)
    assert (status, rest.decode()) == (200, DOCUMENTS.get(by, by))
    assert ("Content-Length", str(len(rest))) in headers


def test_body_of_an_error_is_not_changed(behind: Behind) -> None:
    status, _, rest = behind.raw("GetObject", ReplaceBody("html"), Key="no-such-key")
    assert status == 404
    assert b"<Code>NoSuchKey</Code>" in rest


def test_truncated_body_has_a_matching_length_drawn_from_the_seed(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, client_of: Connect, prefix: str
) -> None:
    data = bytes(range(256)) * 40
    got = []
    for seed, effect in ((1, "truncate:keep=7"), (1, "truncate"), (1, "truncate"), (2, "truncate")):
        client = client_of(s3_fault_proxy(server, f"GetObject:{effect}", seed=seed))
        client.call("PutObject", data, Key=prefix)
        found = client.call("GetObject", Key=prefix)
        assert int(found.headers["content-length"]) == len(found.body) < len(data)
        assert data.startswith(found.body)
        got.append(len(found.body))
    assert got[0] == 7
    assert got[1] == got[2] != got[3]


def test_closed_response_is_shorter_than_announced(behind: Behind, prefix: str) -> None:
    behind.proxy.inject(Fault("GetObject", Reset(2, "response", "fin")))
    with pytest.raises(http.client.IncompleteRead) as caught:
        behind.client.call("GetObject", Key=prefix)
    assert caught.value.partial == b"ab"


def test_elements_of_a_listing_are_set_and_removed(behind: Behind, prefix: str) -> None:
    where: dict[str, Any] = {"Key": prefix, "UploadId": behind.client.create_upload(prefix, 2)}
    _, _, many = behind.raw("ListParts", SetElement("Size", "ma<ny"), **where)
    assert many.count(b"<Size>ma&lt;ny</Size>") == 2
    _, _, none = behind.raw("ListParts", SetElement("Size"), **where)
    assert b"Size" not in none
    assert none.count(b"<PartNumber>") == 2
    assert with_elements(b"<R><A/><A>1</A></R>", "A", "2") == b"<R><A>2</A><A>2</A></R>"
    assert with_elements(b"<R><B/></R>", "A", "2") == b"<R><B/></R>"


def test_namespace_is_dropped_changed_or_written_with_a_prefix(behind: Behind, prefix: str) -> None:
    found = {
        change: behind.raw("CreateMultipartUpload", Namespace(change), Key=prefix)[2]
        for change in ("drop", "wrong", "prefix")
    }
    assert b"xmlns" not in found["drop"]
    assert b"<UploadId>" in found["drop"]
    assert b'Result xmlns="http://example.com/">' in found["wrong"]
    assert b"<UploadId>" in found["wrong"]
    root = b'<ns2:InitiateMultipartUploadResult xmlns:ns2="http://s3.amazonaws.com/doc/2006-03-01/"'
    assert root in found["prefix"]
    assert re.search(rb"<ns2:UploadId>[^<]+</ns2:UploadId>", found["prefix"])
    assert found["prefix"].startswith(b"<?xml")
    assert with_namespace(b'<R xmlns="a"/>', "wrong") == b'<R xmlns="http://example.com/"/>'


@pytest.mark.parametrize(("ring", "pages"), [(1, 1), (2, 2), (3, 3), (0, 5)])
def test_listing_never_ends_and_its_tokens_repeat(
    behind: Behind, prefix: str, ring: int, pages: int
) -> None:
    """With ring=0 no token ever comes twice."""
    upload = behind.client.create_upload(f"{prefix}/m", 2)
    behind.proxy.inject(Fault("*", RepeatToken(ring)))
    parts: dict[str, Any] = {"Key": f"{prefix}/m", "UploadId": upload}
    below = {"Prefix": f"{prefix}/"}
    kinds: list[tuple[str, dict[str, Any], dict[str, str]]] = [
        ("list_parts", parts, {"PartNumberMarker": "NextPartNumberMarker"}),
        ("list_objects_v2", below, {"ContinuationToken": "NextContinuationToken"}),
        (
            "list_multipart_uploads",
            below,
            {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"},
        ),
    ]
    for method, where, tokens in kinds:
        following: dict[str, Any] = {}
        seen = []
        for _ in range(5):
            page = getattr(behind.client.s3, method)(
                Bucket=behind.client.bucket, **where, **following
            )
            assert page["IsTruncated"]
            following = {name: page[element] for name, element in tokens.items()}
            seen.append(str(following))
        assert len(set(seen)) == pages, method
        assert seen[:2] == seen[pages : pages + 2][:2] or ring == 0 or pages > 3, method


# --------------------------------------------------------------------------- framing and pace


async def delivered(*effects: Effect, body: bytes = b"body", bodiless: bool = False) -> list[bytes]:
    """Return what is written to the client, write by write, of a response with `effects`."""
    delivery = Delivery()
    for effect in effects:
        effect.deliver(delivery, 0)
    written: list[bytes] = []

    async def send(data: bytes) -> None:
        written.append(data)

    async def pass_body(send: Send, *, framed: bool = True) -> None:
        del framed
        if not bodiless:
            await send(body)

    passes: PassBody = pass_body
    length = (b"Content-Length", b"%d" % len(body))
    head = Head(b"", b"HTTP/1.1 200 OK", [length], status=200)
    await delivery.run(head, passes, send, bodiless=bodiless)
    return written


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LINE = b"X-Added: " + b"x" * 9 + b"\r\n"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        ([], HEAD + b"body"),
        ([Chunk()], CHUNKED + b"1\r\nb\r\n1\r\no\r\n1\r\nd\r\n1\r\ny\r\n0\r\n\r\n"),
        ([Chunk(3)], CHUNKED + b"3\r\nbod\r\n1\r\ny\r\n0\r\n\r\n"),
        ([Flood("interim", 1)], b"HTTP/1.1 103 Early Hints\r\nX-Added: 1\r\n\r\n" + HEAD + b"body"),
        ([Flood("head", 20)], HEAD[:-2] + LINE + b"\r\nbody"),
        ([Flood("body", 3)], CHUNKED + b"4\r\nbody\r\n3\r\n\n\n\n\r\n0\r\n\r\n"),
        ([Flood("trailers", 20)], CHUNKED + b"4\r\nbody\r\n0\r\n" + LINE + b"\r\n"),
        (
            [Chunk(2), Flood("trailers", 20)],
            CHUNKED + b"2\r\nbo\r\n2\r\ndy\r\n0\r\n" + LINE + b"\r\n",
        ),
        ([Flood("after", 1)], HEAD + b"bodyHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_response_is_framed(effects: list[Effect], expected: bytes) -> None:
    assert b"".join(await delivered(*effects)) == expected
    assert b"".join(await delivered(*effects, Pace(7))) == expected


@pytest.mark.anyio
async def test_pace_holds_for_every_byte_of_a_response() -> None:
    assert {len(piece) for piece in await delivered(Pace())} == {1}
    assert {len(piece) for piece in await delivered(Pace(5), Flood("head", 50))} <= {1, 2, 3, 4, 5}


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["interim", "head", "body", "trailers", "after"])
async def test_flood_is_held_in_pieces(where: Any) -> None:
    pieces = await delivered(Flood(where, 3_000_000))
    assert 2_900_000 < sum(map(len, pieces)) < 3_200_000
    assert max(map(len, pieces)) < 70_000


@pytest.mark.anyio
async def test_response_to_head_never_has_a_body() -> None:
    effects = [Chunk(), Flood("body", 3), Flood("trailers", 3)]
    assert b"".join(await delivered(*effects, bodiless=True)) == HEAD


@pytest.mark.parametrize(
    "effect", [Chunk(), Pace(), Pace(3) + Chunk(2), Flood("trailers", 500), Flood("head", 500)]
)
def test_response_reads_the_same_however_it_is_sent(
    behind: Behind, prefix: str, effect: Effect
) -> None:
    """An XML response of the server, which comes in chunks or not, and one of the proxy's own."""
    for name, done in (("ListObjects", effect), ("GetObject", Respond(503) + effect)):
        behind.proxy.clear()
        params: dict[str, Any] = {"Key": prefix} if name == "GetObject" else {"Prefix": prefix}
        plain = behind.client.call(name, **params)
        behind.proxy.inject(Fault(name, done))
        got = behind.client.call(name, **params)
        assert got.body == plain.body or got.code == "SlowDown"
        assert got.status in {200, 503}


@pytest.mark.parametrize("where", ["interim", "head", "body", "trailers", "after"])
def test_flood_ends_when_the_client_leaves(behind: Behind, prefix: str, where: Any) -> None:
    """1 GiB would take the proxy longer than a test may."""
    done: list[Record] = []
    behind.proxy.on_request = done.append
    behind.proxy.inject(Fault("GetObject", Flood(where)))
    method, target = behind.client.target("GetObject", Key=prefix)
    with behind.client.dial() as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        received = 0
        while received < 1_000_000:
            received += len(connection.recv(65536))
    behind.proxy.stop()
    (taken,) = [record.response_bytes for record in done if record.operation == "GetObject"]
    assert 900_000 < taken < 100_000_000


# ---------------------------------------------------------- responses that are not the server's


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_leads_to_another_proxy(
    behind: Behind, s3_fault_proxy: StartFaultProxy, server: LocalS3Server, status: int, prefix: str
) -> None:
    """Who follows is seen in the log of a second proxy, which says yes to everything."""
    elsewhere = s3_fault_proxy(server, Fault("*", Respond(200, "", body="elsewhere")))
    location = f"{elsewhere.url}/trap/{prefix}"
    behind.proxy.inject(f"GetObject:{status}:header.Location={location}")
    got = behind.client.call("GetObject", Key=prefix)
    assert (got.status, got.headers["location"]) == (status, location)
    assert elsewhere.count() == 0
    _, target = behind.client.target("GetObject", Key=prefix)
    with urllib.request.urlopen(f"{behind.proxy.url}{target}") as followed:  # noqa: S310
        assert followed.read() == b"elsewhere"
    assert [(record.operation, record.key) for record in elsewhere.log] == [("GetObject", prefix)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("body", ["", DOCUMENTS["html"]])
def test_success_without_the_server(behind: Behind, prefix: str, when: Any, body: str) -> None:
    """With the request kept from the server, and with the server's own response thrown away."""
    effect = Respond(200, "", when, body=body)
    status, headers, rest = behind.raw("PutObject", effect, b"new", Key=prefix)
    assert (status, rest.decode()) == (200, body)
    assert "ETag" not in dict(headers)
    stored = behind.client.call("GetObject", Key=prefix).body
    assert stored == (b"abc" if when == "before" else b"new")


# ------------------------------------------------------------------------------------ together


def test_sum_of_effects_applies_all_of_them(behind: Behind, prefix: str) -> None:
    effect = Respond(200, when="after", body="x") + Header("Date") + Status(201) + Chunk()
    status, headers, rest = behind.raw("PutObject", effect, b"new", Key=prefix)
    assert (status, rest) == (201, b"1\r\nx\r\n0\r\n\r\n")
    assert not {"Date", "Content-Length"} & set(dict(headers))
    assert behind.client.call("GetObject", Key=prefix).body == b"new"


def test_sum_of_effects_matches_where_all_do() -> None:
    effect = Namespace("drop") + Truncate() + Header("Date")
    assert isinstance(effect, Combined)
    assert len(effect.effects) == 3
    assert "ListParts" in effect.operations
    assert "PutObject" not in effect.operations
    with pytest.raises(
        ValueError, match=r"operation=PutObject: allowed with this effect: .*Create"
    ):
        Fault("PutObject", effect)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("*:status:to=204", Fault("*", Status(204))),
        ("*:header:name=ETag:nth=1", Fault("*", Header("ETag"), nth=1)),
        (
            "*:header:name=Date:change=set:value=Mon, 01 Jan 2024 00:00:00 GMT",
            Fault("*", Header("Date", "set", "Mon, 01 Jan 2024 00:00:00 GMT")),
        ),
        ("GetObject:body:by=html", Fault("GetObject", ReplaceBody("html"))),
        ("GetObject:truncate", Fault("GetObject", Truncate())),
        ("ListParts:element:element=Size", Fault("ListParts", SetElement("Size"))),
        ("ListParts:element:element=Size:text=", Fault("ListParts", SetElement("Size", ""))),
        ("ListParts:namespace:change=prefix", Fault("ListParts", Namespace("prefix"))),
        ("ListParts:repeat-token:ring=0", Fault("ListParts", RepeatToken(0))),
        (
            "GetObject:503:code=SlowDown+header:name=ETag+chunk:size=5+pace:seconds=0.5:first=2",
            Fault(
                "GetObject",
                Respond(503, "SlowDown") + Header("ETag") + Chunk(5) + Pace(seconds=0.5),
                first=2,
            ),
        ),
        ("*:flood:where=head:bytes=9+200", Fault("*", Flood("head", 9) + Respond(200))),
        ("*:body:by=a+b+20", Fault("GetObject", ReplaceBody("a+b+20"))),
    ],
)
def test_text_of_a_mutation_round_trips(text: str, fault: Fault) -> None:
    if text.startswith("*:body"):
        text = f"GetObject{text[1:]}"
    assert parse_fault(text) == fault
    assert fault_text(fault) == text


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("*:status:to=20", "100 to 999"),
        ("*:status", "to="),
        ("*:header:change=drop", "name="),
        ("*:header:name=a:change=lose", "drop, double, case, unquote, set"),
        ("*:chunk:size=0", "1 and more"),
        ("*:pace:bytes=0", "1 and more"),
        ("*:flood:where=tail", "interim, head, body, trailers, after"),
        ("ListParts:repeat-token:ring=-1", "0 and more"),
        ("ListParts:namespace:change=no", "drop, wrong, prefix"),
        ("HeadObject:body:by=x", "PutObject"),
        ("PutObject:element:element=x", "ListParts"),
        ("*:chunk+explode", "an HTTP status"),
    ],
)
def test_wrong_text_of_a_mutation_says_what_is_allowed(text: str, allowed: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|needs") as caught:
        parse_fault(text)
    assert allowed in str(caught.value)
