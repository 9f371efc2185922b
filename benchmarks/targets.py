"""The goals of the project, each compared with what was measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.results import Cell, Row
from benchmarks.sink import Line
from benchmarks.work import MIB

RSS_LIMIT = 120.0
"""MB."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Our `figure` must be at most `factor` times the best of `peers`."""

    scenario: str
    servers: tuple[str, ...]
    ours: str
    figure: str
    factor: float
    peers: Callable[[Row], bool]
    words: str


def _any_peer(_row: Row) -> bool:
    return True


def _hashing(row: Row) -> bool:
    return row.contender.hashes


def _named(*names: str) -> Callable[[Row], bool]:
    return lambda row: row.contender.name in names


_SEAWEED = ("seaweed-http", "seaweed-https")

GOALS = (
    Goal("small", ("sink-md5",), "ours", "cpu", 0.85, _any_peer, "best peer"),
    Goal("small", ("sink-md5",), "ours", "wall", 0.95, _any_peer, "best peer"),
    Goal("large", ("sink-opaque", "sink-md5"), "ours-nohash", "cpu", 0.6, _any_peer, "best peer"),
    Goal("large", ("sink-opaque", "sink-md5"), "ours-nohash", "wall", 0.8, _any_peer, "best peer"),
    Goal("large", ("sink-md5",), "ours", "cpu", 0.8, _named("s5cmd", "rclone"), "s5cmd and rclone"),
    Goal("large", ("sink-md5",), "ours", "wall", 1.0, _named("s5cmd"), "s5cmd"),
    *(
        goal
        for scenario in ("small", "large")
        for goal in (
            Goal(scenario, _SEAWEED, "ours", "cpu", 1.0, _hashing, "best peer that verifies"),
            Goal(scenario, _SEAWEED, "ours-nohash", "cpu", 0.75, _any_peer, "best peer"),
            Goal(scenario, _SEAWEED, "ours", "wall", 0.95, _any_peer, "best peer"),
        )
    ),
    Goal("wan-small", ("wan",), "ours", "wall", 1.0, _any_peer, "best peer"),
)


def as_markdown(cells: Sequence[Cell], *, quick: bool) -> str:
    """Return the table of goals; a goal whose scenario did not run is left out."""
    note = "Quick sizes: start-up weighs far more here than at the sizes the goals are for."
    lines = [
        "### Goals",
        "",
        *([note, ""] if quick else []),
        "| work, server | who | figure | ours | limit | of | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in cells:
        goals = [g for g in GOALS if g.scenario == cell.scenario and cell.server in g.servers]
        lines += [_line(cell, goal) for goal in goals]
        lines += _memory(cell)
        lines += _own_time(cell)
    return "\n".join(lines) + "\n"


def _line(cell: Cell, goal: Goal) -> str:
    begin = f"| {cell.label}, {cell.server} | {goal.ours} | {goal.figure} s"
    peers = [
        row
        for row in cell.good()
        if row.contender.peer and not row.contender.ours and goal.peers(row)
    ]
    best = min(peers, key=lambda row: row.median(goal.figure), default=None)
    ours = cell.row(goal.ours)
    if ours is None or best is None:
        return f"{begin} | | | {goal.words} | no figure |"
    limit = goal.factor * best.median(goal.figure)
    value = ours.median(goal.figure)
    of = f"{goal.factor:g} × {best.median(goal.figure):.2f} ({best.contender.name}, {goal.words})"
    return f"{begin} | {value:.2f} | {limit:.2f} | {of} | {_verdict(value, limit)} |"


def _memory(cell: Cell) -> list[str]:
    ours = cell.row("ours")
    if ours is None:
        return []
    rss = ours.median("rss")
    begin = f"| {cell.label}, {cell.server} | ours | peak MB | {rss:.0f} | {RSS_LIMIT:.0f}"
    return [f"{begin} | | {_verdict(rss, RSS_LIMIT)} |"]


def _own_time(cell: Cell) -> list[str]:
    """Compare with the time the slow line itself takes; round trips rule smaller works."""
    ours = cell.row("ours")
    if cell.scenario != "wan-large" or ours is None:
        return []
    total = ours.runs[0].counts["object_bytes"]
    if total < 256 * MIB:
        return []
    line = total / (Line().total_mbps * 1e6)
    wall = ours.median("wall")
    limit = 1.25 * line
    begin = f"| {cell.label}, {cell.server} | ours | wall s | {wall:.2f} | {limit:.2f}"
    return [f"{begin} | 1.25 × {line:.2f} (the line alone) | {_verdict(wall, limit)} |"]


def _verdict(value: float, limit: float) -> str:
    return "met" if value <= limit else f"missed, {value / limit:.2f} × the limit"
