"""Effects on requests and connections.

`edits` has the effects on what S3 says in a response, `mutations` those on its HTTP and XML.
"""

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import ClassVar, Literal

from s3_uploader.testing.faults.delivery import Delivery
from s3_uploader.testing.faults.http import Head
from s3_uploader.testing.faults.reply import Reply
from s3_uploader.testing.faults.request import OPERATIONS, Request

Side = Literal["request", "response"]
When = Literal["early", "before", "after"]
Ending = Literal["rst", "fin"]

_SKEW_ALLOWED = 900.0
"""Seconds S3 lets a client's clock be wrong."""


class Effect:
    """Does nothing: the base class of all effects, yours too: frozen dataclasses like these.

    `a + b` applies both to one request.

    Attributes:
        operations: the operations it makes sense for; others do not match its fault.
        bodies: those of them whose response's body `edit_body` gets, whole.
    """

    operations: Collection[str] = OPERATIONS
    bodies: ClassVar[Collection[str]] = ()

    @property
    def members(self) -> "tuple[Effect, ...]":
        """The effects it is made of: itself, unless it is a sum."""
        return (self,)

    def __add__(self, other: "Effect") -> "Combined":
        return Combined((*self.members, *other.members))

    def applies_to(self, request: Request, memory: Counter[str]) -> bool:
        """Return whether it applies to `request`; `memory` is kept for the fault."""
        del request, memory
        return True

    def reply_before(self) -> Reply | None:
        """Return the response to send instead of passing the request on."""

    def reply_after(self) -> Reply | None:
        """Return the response to send in place of the server's."""

    def edit(self, head: Head, random_bits: int) -> None:
        """Change the response's head; `random_bits` are 128 of them, drawn from the seed."""

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        """Return the changed body of the response."""
        del request, random_bits
        return body

    def deliver(self, delivery: Delivery, random_bits: int) -> None:
        """Change how the response is framed and paced."""


@dataclass(frozen=True)
class Combined(Effect):
    """Does what each of its effects does, in their order; of those that reply, the first does.

    It makes sense for the operations all of them make sense for.
    """

    effects: tuple[Effect, ...]

    def __post_init__(self) -> None:
        shared = [
            operation
            for operation in OPERATIONS
            if all(operation in effect.operations for effect in self.effects)
        ]
        object.__setattr__(self, "operations", tuple(shared))

    @property
    def members(self) -> tuple[Effect, ...]:
        """The effects."""
        return self.effects

    def applies_to(self, request: Request, memory: Counter[str]) -> bool:
        """Return whether all of them apply to `request`."""
        return all(effect.applies_to(request, memory) for effect in self.effects)


@dataclass(frozen=True)
class Respond(Effect):
    """Responds itself: any status, S3 error code and headers; also 200 with an error in the body.

    Attributes:
        status: HTTP status.
        code: S3 error code in the body; None takes the usual one of the status, "" sends no body.
        when: "before" reads the request and does not pass it on; "after" passes it on and throws
            the server's response away; "early" responds before the body is read, and closes.
            Default "before".
        headers: further headers of the response, such as Retry-After or Location.
        body: the body, instead of the XML error.
    """

    status: int
    code: str | None = None
    when: When = "before"
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    body: str | None = None

    def reply_before(self) -> Reply | None:
        """Return the response, unless the server is asked first."""
        return self._reply() if self.when != "after" else None

    def reply_after(self) -> Reply | None:
        """Return the response, if the server is asked first."""
        return self._reply() if self.when == "after" else None

    def _reply(self) -> Reply:
        early = self.when == "early"
        return Reply(self.status, self.code, self.headers, self.body, early=early)


@dataclass(frozen=True)
class LoseResponse(Effect):
    """Passes the request on in full, then closes the connection without a response."""


@dataclass(frozen=True)
class LimitBody(Effect):
    """Responds with 413 to a request that announces more than `bytes`, before reading its body."""

    bytes: int

    def applies_to(self, request: Request, memory: Counter[str]) -> bool:
        """Return whether the body is announced as too long."""
        del memory
        return (request.size or 0) > self.bytes

    def reply_before(self) -> Reply | None:
        """Return the 413."""
        return Reply(413, early=True)


@dataclass(frozen=True)
class Reset(Effect):
    """Breaks the connection off within the body of the request or of the response.

    Attributes:
        after: bytes of the body that pass; at most all but one. 0 comes before the head, also
            where there is no body.
        side: "request": the server never gets all of it; "response": it has done what was asked.
        ending: "rst" resets the connection; "fin" closes it, as at the end of a body whose size
            is not announced. Default "rst".
    """

    after: int = 0
    side: Side = "request"
    ending: Ending = "rst"


@dataclass(frozen=True)
class Stall(Effect):
    """Stops within a body, with the connection open, until `release` or the proxy's end.

    Attributes:
        after, side: where, as `Reset`.
        seconds: how long it stops; None for no limit.
    """

    after: int = 0
    side: Side = "request"
    seconds: float | None = None


@dataclass(frozen=True)
class Drip(Effect):
    """Lets a body through at `bytes_per_second`."""

    bytes_per_second: float
    side: Side = "request"


@dataclass(frozen=True)
class FlipBit(Effect):
    """Flips one bit of the request's body on its way to the server.

    A server that is given a digest of the body responds with BadDigest or the like.

    Attributes:
        at: offset of the byte; None for a random one.
        bit: 0 (lowest) to 7.
    """

    at: int | None = None
    bit: int = 0

    def __post_init__(self) -> None:
        if self.bit not in range(8):
            raise ValueError(f"bit={self.bit}: allowed: 0 to 7")

    def applies_to(self, request: Request, memory: Counter[str]) -> bool:
        """Return whether the body has that byte, as far as it is known."""
        del memory
        return request.size is None or request.size > (self.at or 0)

    def offset(self, size: int | None, random_bits: int) -> int:
        """Return the byte to change, of a body of `size` bytes; the first if that is unknown."""
        return random_bits % (size or 1) if self.at is None else self.at


@dataclass(frozen=True)
class ClockSkew(Effect):
    """Responds with RequestTimeTooSkewed to requests signed over 15 minutes from now + `seconds`.

    Others pass, and the server behind compares with its own clock: use 0 for a client whose clock
    is wrong, and more than 900 for a server's that refuses everybody.
    """

    seconds: float = 0.0

    def applies_to(self, request: Request, memory: Counter[str]) -> bool:
        """Return whether the client's clock is too far off."""
        del memory
        signed = request.signed_at
        now = time.time() + self.seconds
        return signed is not None and abs(signed.timestamp() - now) > _SKEW_ALLOWED

    def reply_before(self) -> Reply | None:
        """Return the 403, with the time as Date."""
        date = formatdate(time.time() + self.seconds, usegmt=True)
        return Reply(403, "RequestTimeTooSkewed", {"Date": date})


@dataclass(frozen=True)
class ExpireCredentials(Effect):
    """Responds with ExpiredToken once the first access key seen has signed `after` requests.

    Requests signed with another key pass.
    """

    after: int = 0

    def applies_to(self, request: Request, memory: Counter[str]) -> bool:
        """Return whether the key that signed it has expired."""
        key = request.access_key
        if not key or next(iter(memory), key) != key:
            return False
        memory[key] += 1
        return memory[key] > self.after

    def reply_before(self) -> Reply | None:
        """Return the 400."""
        return Reply(400, "ExpiredToken")
