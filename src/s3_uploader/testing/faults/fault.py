"""Which requests a fault happens to: repeatable from the seed, whatever else is in flight."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Literal

from s3_uploader.testing.faults.effects import Effect
from s3_uploader.testing.faults.request import OPERATIONS, Request

ANY = "*"


@dataclass(frozen=True)
class Fault:
    """An effect, and the requests it happens to.

    `operation`, `key`, `part` and what the effect itself asks for choose the requests that match;
    `nth`, `first` or `every` choose among those by number, from 1; then `probability` and `times`.

    Attributes:
        operation: S3 operation, such as "UploadPart", or "*".
        effect: what happens.
        key: pattern of `fnmatch` for the object key; default all.
        part: part number; default all.
        nth: only the n-th that matches.
        first: only the first so many that match.
        every: only each so-manieth that matches.
        probability: of happening, 0 to 1. Drawn from the proxy's seed, the fault, and the
            request's operation, key, part and how many of these came before: not from the order
            in which different keys arrive.
        times: happens at most so often.
        per: what `nth`, `first` and `every` count: requests of the whole proxy ("proxy"), or of
            each operation, key and part apart ("key").

    Raises:
        ValueError: names the attribute, its value and what is allowed.
    """

    operation: str
    effect: Effect
    key: str = ANY
    part: int | None = None
    nth: int | None = None
    first: int | None = None
    every: int | None = None
    probability: float = 1.0
    times: int | None = None
    per: Literal["proxy", "key"] = "proxy"

    def __post_init__(self) -> None:
        if self.operation not in {ANY, *OPERATIONS}:
            allowed = ", ".join((ANY, *OPERATIONS))
            raise ValueError(f"operation={self.operation}: allowed: {allowed}")
        for name in ("part", "nth", "first", "every", "times"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value}: allowed: 1 and more")
        if sum(value is not None for value in (self.nth, self.first, self.every)) > 1:
            raise ValueError("nth, first, every: allowed: one of them")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability={self.probability}: allowed: 0 to 1")
        if self.operation != ANY and self.operation not in self.effect.operations:
            allowed = ", ".join(self.effect.operations)
            raise ValueError(f"operation={self.operation}: allowed with this effect: {allowed}")

    def chooses(self, number: int) -> bool:
        """Return whether the `number`-th request that matches is one of those meant."""
        if self.nth is not None:
            return number == self.nth
        if self.first is not None:
            return number <= self.first
        return self.every is None or number % self.every == 0


@dataclass(slots=True)
class Due:
    """A fault that happens to a request, and the number of 128 bits that was drawn for it."""

    fault: Fault
    draw: int


@dataclass(slots=True)
class _Watch:
    """A fault, and what it has seen so far."""

    fault: Fault
    counts: Counter[object] = field(default_factory=Counter)
    memory: Counter[str] = field(default_factory=Counter)
    applied: int = 0


class Schedule:
    """Decides which fault happens to a request: the first of the list that is due."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._watches: list[_Watch] = []
        self._seen: Counter[object] = Counter()

    def add(self, faults: Iterable[Fault]) -> None:
        """Append faults."""
        self._watches += [_Watch(fault) for fault in faults]

    def clear(self) -> None:
        """Remove all faults."""
        self._watches.clear()

    def due(self, request: Request) -> Due | None:
        """Count `request` for every fault, and return the one that happens to it."""
        identity = (request.operation, request.key, request.part)
        self._seen[identity] += 1
        # Every fault counts what matches it, also where an earlier one of the list is applied.
        due = list(self._due(request, identity))
        if not due:
            return None
        watch, draw = due[0]
        watch.applied += 1
        return Due(watch.fault, draw)

    def _due(self, request: Request, identity: object) -> Iterator[tuple[_Watch, int]]:
        for watch in self._watches:
            fault = watch.fault
            if not _matches(fault, request) or not fault.effect.concerns(request, watch.memory):
                continue
            group = identity if fault.per == "key" else None
            watch.counts[group] += 1
            if not fault.chooses(watch.counts[group]) or watch.applied == fault.times:
                continue
            # With the fault itself among the seeds, two faults of one list draw apart.
            draw = Random(repr((self._seed, fault, identity, self._seen[identity])))  # noqa: S311
            if fault.probability == 1 or draw.random() < fault.probability:
                yield watch, draw.getrandbits(128)


def _matches(fault: Fault, request: Request) -> bool:
    return (
        fault.operation in {ANY, request.operation}
        and request.operation in fault.effect.operations
        and fnmatchcase(request.key, fault.key)
        and fault.part in {None, request.part}
    )
