"""Choose the requests a fault happens to: repeatable from the seed, whatever is in flight."""

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

    `operation`, `key`, `part` and what the effect itself asks for select the requests that match;
    `nth`, `first` or `every` select among those by number, from 1; then `probability` and `times`.

    Attributes:
        operation: S3 operation, such as "UploadPart", or "*".
        effect: what happens.
        key: pattern of `fnmatch` for the object key; default all.
        part: part number; default all.
        nth: only the n-th that matches.
        first: only the first n that match.
        every: only every n-th that matches.
        probability: of happening, 0 to 1. Drawn from the proxy's seed, the fault, and the
            request's operation, key, part and how many of these came before: not from the order
            in which different keys arrive.
        times: how often it happens at most.
        per: what `nth`, `first` and `every` count: requests of the whole proxy ("proxy"), or
            separately those of each operation, key and part ("key").

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

    def selects(self, number: int) -> bool:
        """Return whether the `number`-th request that matches is one of those selected."""
        if self.nth is not None:
            return number == self.nth
        if self.first is not None:
            return number <= self.first
        return self.every is None or number % self.every == 0


@dataclass(slots=True)
class ScheduledFault:
    """A fault that happens to a request, and a random number of 128 bits for its effect."""

    fault: Fault
    random_bits: int


@dataclass(slots=True)
class _FaultState:
    """A fault, and what it has counted so far."""

    fault: Fault
    counts: Counter[object] = field(default_factory=Counter)
    memory: Counter[str] = field(default_factory=Counter)
    applied: int = 0


class Schedule:
    """Chooses the fault that happens to a request: the first of the list that is due."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._states: list[_FaultState] = []
        self._seen: Counter[object] = Counter()

    def add(self, faults: Iterable[Fault]) -> None:
        """Append faults."""
        self._states += [_FaultState(fault) for fault in faults]

    def clear(self) -> None:
        """Remove all faults."""
        self._states.clear()

    def fault_for(self, request: Request) -> ScheduledFault | None:
        """Count `request` for every fault, and return the one that happens to it."""
        identity = (request.operation, request.key, request.part)
        self._seen[identity] += 1
        # Every fault counts what matches it, also where an earlier one of the list is applied.
        due = list(self._all_due(request, identity))
        if not due:
            return None
        state, random_bits = due[0]
        state.applied += 1
        return ScheduledFault(state.fault, random_bits)

    def _all_due(self, request: Request, identity: object) -> Iterator[tuple[_FaultState, int]]:
        for state in self._states:
            fault = state.fault
            if not _matches(fault, request) or not fault.effect.applies_to(request, state.memory):
                continue
            group = identity if fault.per == "key" else None
            state.counts[group] += 1
            if not fault.selects(state.counts[group]) or state.applied == fault.times:
                continue
            # With the fault itself in the seed, two faults of one list draw independently.
            rng = Random(repr((self._seed, fault, identity, self._seen[identity])))  # noqa: S311
            if fault.probability == 1 or rng.random() < fault.probability:
                yield state, rng.getrandbits(128)


def _matches(fault: Fault, request: Request) -> bool:
    return (
        fault.operation in {ANY, request.operation}
        and request.operation in fault.effect.operations
        and fnmatchcase(request.key, fault.key)
        and fault.part in {None, request.part}
    )
