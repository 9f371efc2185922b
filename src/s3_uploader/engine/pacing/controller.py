"""Decide, without I/O, how many requests to have in flight: goodput and errors in, limit out.

The shape is that of congestion control. Start-up multiplies the limit each round while that raises
goodput by a fifth: by two, or by more for small bodies, which cost little to try. Then the limit
stays, probed down and up in turn at growing intervals, and a probe is kept only where goodput
rises, or does not fall where the probe was of fewer. A sign of overload halves the limit.

A round is as many finished requests as the limit was at its beginning, and lasts at least as long
as its requests took on average, so that each measurement covers every connection about once.
"""

from dataclasses import dataclass

ROUND_SECONDS = 0.05
"""Shortest round: below it the clock and the scheduler are most of what is measured."""

SMALL_BODY = 256 * 1024
"""Mean bytes of a body up to which start-up grows fourfold."""

FAR_SECONDS, FAR_GROWTH = 0.02, 16
"""Small bodies whose responses take this long are bound by latency, not CPU: start-up then grows
by as much at once, for every round costs a round trip."""

NO_RESPONSE_SECONDS = 0.04
"""Small bodies without a response for this long cause that growth before their responses do. Twice
as long, because a busy machine is slow to respond too."""

NEAR_START = 8
"""Large bodies in flight to begin with where the store responds sooner than that."""

STARTUP_GAIN = 1.2
"""Goodput must rise by this factor for doubling to continue; a full success would be 2."""

PROBE_GAIN = 1.05
"""Goodput must rise by this factor for a probe to be kept: more than the usual noise."""

FIRST_WAIT, LONGEST_WAIT = 4, 64
"""Rounds between probes; doubled after each probe that gained nothing."""

CUT_SECONDS = 1.0
"""One cut in this time at most: a burst of errors is one sign of overload, not many."""

REQUEST_WORK = 64 * 1024
"""What one request counts for beside its bytes, so that small files measure as work too."""


@dataclass(slots=True)
class _Round:
    """What was finished since `began` (seconds), and how much is needed to judge it."""

    began: float
    wanted: int
    finished: int = 0
    size: int = 0
    latency: float = 0.0

    @property
    def mean_latency(self) -> float:
        """Seconds that a request of the round took."""
        return self.latency / self.finished


class Controller:
    """The limit of one Uploader.

    Args:
        start: requests in flight to begin with.
        ceiling: requests in flight never exceeded.
    """

    def __init__(self, start: int, ceiling: int) -> None:
        self.limit = min(start, ceiling)
        self._ceiling = ceiling
        self._startup = True
        self._stable = self.limit
        self._goodput = 0.0
        self._probing = False
        self._upward = False
        self._wait = self._rounds_left = FIRST_WAIT
        self._cut_at = float("-inf")
        self._round: _Round | None = None

    @property
    def unmeasured(self) -> bool:
        """Whether nothing has been measured yet."""
        return self._startup and self._round is None and not self._goodput

    def no_response_yet(self) -> None:
        """Record that small bodies sent `NO_RESPONSE_SECONDS` ago have no response: it is far away.

        The growth that their responses would cause need not wait for them.
        """
        if self.unmeasured:
            self.limit = min(FAR_GROWTH * self._stable, self._ceiling)

    def low_latency(self) -> None:
        """Record that a multipart upload was created sooner than `FAR_SECONDS`.

        Then large bodies begin with fewer: what limits a store on the same machine or rack are
        its processors and disks, and too many bodies at once slow it down.
        """
        if self.unmeasured:
            self.limit = self._stable = min(self._stable, NEAR_START)

    def succeed(self, now: float, size: int, in_flight: int, seconds: float = 0.0) -> None:
        """Record a request that succeeded.

        Args:
            now: monotonic seconds.
            size: bytes of its body.
            in_flight: requests in flight when it ended, itself included. A round in which the
                limit was never reached says nothing about the limit and is not judged.
            seconds: how long it took.
        """
        current = self._round
        if current is None:
            # The first wave counts from its beginning: its responses come all at once.
            self._round = current = _Round(now - seconds, self.limit)
        elif in_flight < self.limit:
            self._round = current = _Round(now, self.limit)
        current.finished += 1
        current.size += size
        current.latency += seconds
        elapsed = now - current.began
        if current.finished >= current.wanted and elapsed >= max(
            ROUND_SECONDS, current.mean_latency
        ):
            work = current.size + current.finished * REQUEST_WORK
            self._judge(work / elapsed, _growth(current))
            self._round = _Round(now, self.limit)

    def overload(self, now: float) -> None:
        """Record a response, or the lack of one, that indicates overload."""
        if now - self._cut_at < CUT_SECONDS:
            return
        self._cut_at = now
        self._startup = self._probing = False
        self._settle(max(1, min(self._stable, self.limit) // 2), 0.0)
        self._wait = self._rounds_left = FIRST_WAIT
        self._upward = True
        self._round = None

    def short(self, in_flight: int) -> None:
        """Record that this process could not have what one of `in_flight` requests takes.

        Unlike an overload that is exact: one fewer fits. It is tried again late, for a process's
        limits hardly change.
        """
        self._startup = self._probing = False
        self._settle(max(1, min(self.limit, in_flight - 1)), 0.0)
        self._wait = self._rounds_left = LONGEST_WAIT
        self._upward = True
        self._round = None

    def _judge(self, goodput: float, growth: int) -> None:
        if self._startup:
            self._judge_startup(goodput, growth)
        elif self._probing:
            self._judge_probe(goodput)
        else:
            # The level drifts with the network; a probe is compared with what is usual now.
            self._goodput = (self._goodput + goodput) / 2 if self._goodput else goodput
            self._rounds_left -= 1
            if self._rounds_left <= 0:
                self._probe()

    def _judge_startup(self, goodput: float, growth: int) -> None:
        if goodput < STARTUP_GAIN * self._goodput:
            self._startup = False
            self._settle(self._stable, self._goodput)
            return
        self._settle(self.limit, goodput)
        if self.limit == self._ceiling:
            self._startup = False
        else:
            self.limit = min(growth * self.limit, self._ceiling)

    def _judge_probe(self, goodput: float) -> None:
        self._probing = False
        # Fewer in flight for the same goodput are better: they spare the store and the network.
        if goodput >= (PROBE_GAIN if self._upward else 1.0) * self._goodput:
            self._settle(self.limit, goodput)
            self._wait = FIRST_WAIT
            self._rounds_left = 1
        else:
            self._settle(self._stable, self._goodput)
            self._upward = not self._upward
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            self._rounds_left = self._wait

    def _probe(self) -> None:
        step = max(1, self._stable // 4)
        target = self._stable + (step if self._upward else -step)
        self.limit = max(1, min(target, self._ceiling))
        self._probing = True

    def _settle(self, limit: int, goodput: float) -> None:
        self.limit = self._stable = limit
        self._goodput = goodput


def _growth(finished: _Round) -> int:
    if finished.size > finished.finished * SMALL_BODY:
        return 2
    return FAR_GROWTH if finished.mean_latency >= FAR_SECONDS else 4
