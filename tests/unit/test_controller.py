"""The controller against modelled networks: no clock, no chance but a seeded one."""

import heapq
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_uploader.engine.pacing.controller import Controller

MB = 1_000_000


def simulate(
    controller: Controller,
    latency: Callable[[int], float],
    *,
    size: int,
    seconds: float,
    overloaded: Callable[[float, int], bool] = lambda _now, _in_flight: False,
) -> tuple[list[int], float]:
    """Run requests of `size` bytes for `seconds`; return the limits seen and the goodput.

    `latency` gives the seconds of a request that begins beside so many others.
    """
    rng = random.Random(7)  # noqa: S311
    now, done, limits = 0.0, 0, []
    flying: list[tuple[float, float]] = []
    while now < seconds:
        while len(flying) < controller.limit:
            took = latency(len(flying) + 1) * rng.uniform(0.97, 1.03)
            heapq.heappush(flying, (now + took, now))
        now, began = heapq.heappop(flying)
        if overloaded(now, len(flying) + 1):
            controller.overload(now)
        else:
            done += size
            controller.succeed(now, size, len(flying) + 1, now - began)
        limits.append(controller.limit)
    return limits, done / now


def _line(rtt: float, per_connection: float, total: float, size: int) -> Callable[[int], float]:
    """A line of `total` bytes/s that gives each connection at most `per_connection`."""
    return lambda in_flight: rtt + size / min(per_connection, total / in_flight)


def test_capped_connection_makes_the_limit_grow_until_the_line_is_full() -> None:
    """12.5 MB/s each, 250 MB/s in all: 20 requests fill it, and most of it is used."""
    controller = Controller(4, 256)
    line = _line(0.06, 12.5 * MB, 250 * MB, 8 * MB)
    limits, goodput = simulate(controller, line, size=8 * MB, seconds=60)
    assert 16 <= limits[-1] <= 64
    assert goodput >= 0.75 * 250 * MB


def test_limit_grows_before_the_first_response_to_small_bodies() -> None:
    controller = Controller(16, 256)
    controller.no_response_yet()
    assert controller.limit == 256


def test_measurement_is_not_overruled_by_silence_or_a_quick_create() -> None:
    controller = Controller(16, 256)
    controller.overload(1.0)
    controller.no_response_yet()
    controller.low_latency()
    assert controller.limit == 8
    measured = Controller(16, 256)
    measured.succeed(1.0, 4096, 16, 0.5)
    measured.no_response_yet()
    measured.low_latency()
    assert measured.limit == 16


def test_large_bodies_to_a_near_store_begin_with_few_requests() -> None:
    controller = Controller(16, 256)
    controller.low_latency()
    assert controller.limit == 8


def test_small_files_to_a_far_store_use_the_whole_ceiling_soon() -> None:
    controller = Controller(16, 256)
    limits, _ = simulate(controller, lambda _n: 0.06, size=4096, seconds=1)
    assert limits.index(256) < 100
    # Probed downwards now and then, and back.
    assert sum(limits[-2000:]) / 2000 >= 200


def test_limit_does_not_grow_on_a_busy_processor() -> None:
    """Twice as many take twice as long each: nothing is gained, and the start is kept."""
    controller = Controller(16, 256)
    limits, _ = simulate(controller, lambda n: 0.0001 * n, size=4096, seconds=20)
    tail = limits[len(limits) // 2 :]
    assert sum(tail) / len(tail) <= 32


def test_server_is_not_driven_into_a_collapse() -> None:
    """Above 32 in flight every request takes far longer."""

    def latency(in_flight: int) -> float:
        return 0.05 if in_flight <= 32 else 0.05 * (in_flight / 32) ** 3

    limits, _ = simulate(Controller(8, 256), latency, size=MB, seconds=60)
    tail = limits[len(limits) // 2 :]
    assert 16 <= sum(tail) / len(tail) <= 40


def test_start_above_the_capacity_of_the_server_comes_down() -> None:
    def latency(in_flight: int) -> float:
        return 0.05 if in_flight <= 8 else 0.05 * (in_flight / 8) ** 2

    limits, _ = simulate(Controller(32, 256), latency, size=MB, seconds=120)
    assert limits[-1] <= 16


def test_burst_of_slow_down_is_one_cut() -> None:
    controller = Controller(64, 256)
    for index in range(200):
        controller.overload(10 + index / 1000)
    assert controller.limit == 32
    controller.overload(11.5)
    assert controller.limit == 16


def test_after_a_burst_the_limit_recovers() -> None:
    limits, _ = simulate(
        Controller(16, 64),
        lambda n: 0.05 if n <= 64 else 1,
        size=4096,
        seconds=60,
        overloaded=lambda now, _n: 5 < now < 6,
    )
    assert min(limits) <= 32
    assert limits[-1] >= 48


@given(
    start=st.integers(1, 400),
    ceiling=st.integers(1, 300),
    steps=st.lists(
        st.tuples(st.booleans(), st.floats(0, 2), st.integers(0, 10**10), st.integers(1, 300)),
        max_size=200,
    ),
)
def test_limit_stays_between_one_and_the_ceiling(
    start: int, ceiling: int, steps: list[tuple[bool, float, int, int]]
) -> None:
    controller = Controller(start, ceiling)
    now = 0.0
    for overload, passed, size, in_flight in steps:
        now += passed
        if overload:
            controller.overload(now)
        else:
            controller.succeed(now, size, in_flight, passed)
        assert 1 <= controller.limit <= ceiling


@pytest.mark.parametrize("ceiling", [1, 4, 8])
def test_ceiling_below_the_start_holds(ceiling: int) -> None:
    assert Controller(16, ceiling).limit == ceiling
