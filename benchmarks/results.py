"""What the runs add up to: medians, spread, and the tables made of them."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contenders.registry import Contender
from benchmarks.measure import Run


@dataclass(slots=True)
class Row:
    """All runs of a contender in one scenario on one server."""

    contender: Contender
    runs: list[Run] = field(default_factory=list)
    skipped: str = ""

    @property
    def problem(self) -> str:
        """Why it does not count, or ""."""
        problems = [run.problem for run in self.runs if run.problem]
        if problems:
            return f"FAILED: {problems[0]}"
        return "" if self.runs else f"not run: {self.skipped or 'no time left'}"

    def median(self, figure: str) -> float:
        """Return the median of an attribute of the runs."""
        return float(median(getattr(run, figure) for run in self.runs))

    def spread(self, figure: str) -> str:
        """Return median, lowest and highest as text."""
        values = [getattr(run, figure) for run in self.runs]
        return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"

    def count(self, name: str) -> str:
        """Return the median of what the server counted, "" if it does not count that."""
        values = [run.counts[name] for run in self.runs if name in run.counts]
        return f"{median(values):,.0f}" if values else ""


@dataclass(slots=True)
class Cell:
    """One scenario on one server."""

    scenario: str
    label: str
    server: str
    rows: list[Row]

    def good(self) -> list[Row]:
        """Return the rows that did the work, cheapest first."""
        rows = [row for row in self.rows if not row.problem]
        return sorted(rows, key=lambda row: row.median("cpu"))

    def best_peer(self, figure: str, *, hashes: bool | None = None) -> Row | None:
        """Return the peer with the lowest median, of those that hash or do not if asked so."""
        peers = [row for row in self.good() if row.contender.peer and not row.contender.ours]
        if hashes is not None:
            peers = [row for row in peers if row.contender.hashes is hashes]
        return min(peers, key=lambda row: row.median(figure), default=None)

    def row(self, name: str) -> Row | None:
        """Return the row of a contender that did the work."""
        return next((row for row in self.good() if row.contender.name == name), None)


def machine() -> dict[str, Any]:
    """Describe where this ran."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": os.getloadavg(),
    }


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.processor()


def as_json(cells: Sequence[Cell], about: dict[str, Any]) -> str:
    """Return everything as JSON."""
    listed = [
        {
            "scenario": cell.scenario,
            "work": cell.label,
            "server": cell.server,
            "rows": [
                {
                    "contender": row.contender.name,
                    "version": row.contender.version(),
                    "settings": row.contender.settings,
                    "problem": row.problem,
                    "median": _medians(row),
                    "runs": [asdict(run) for run in row.runs],
                }
                for row in cell.rows
            ],
        }
        for cell in cells
    ]
    return json.dumps({"about": about, "cells": listed}, indent=1)


def _medians(row: Row) -> dict[str, float]:
    if row.problem:
        return {}
    return {name: round(row.median(name), 4) for name in ("wall", "cpu", "rss")}


def as_markdown(cells: Sequence[Cell], about: dict[str, Any]) -> str:
    """Return a table for each cell, cheapest contender first, failures last."""
    where = f"{about['cpu']}, {about['cores']} cores, {about['system']}, Python {about['python']}"
    load = f"load average at the start {about['load_average'][0]:.1f}"
    how = f"up to {about['runs']} runs in turn, medians with lowest and highest, start-up included"
    lines = [f"{where}; {load}; {how}; MB is 10^6 bytes."]
    for cell in cells:
        lines += ["", f"### {cell.label}, {cell.server}", "", *_table(cell)]
    return "\n".join(lines) + "\n"


def _table(cell: Cell) -> list[str]:
    cpu = cell.best_peer("cpu")
    wall = cell.best_peer("wall")
    heads = ["contender", "CPU s", "× best peer", "wall s", "× best peer", "peak MB"]
    heads += ["requests", "connections", "in flight", "runs"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in cell.good():
        name = f"**{row.contender.name}**" if row.contender.ours else row.contender.name
        lines.append(
            f"| {name} | {row.spread('cpu')} | {_ratio(row, cpu, 'cpu')} | {row.spread('wall')} "
            f"| {_ratio(row, wall, 'wall')} | {row.median('rss'):.0f} | {row.count('requests')} "
            f"| {row.count('connections')} | {row.count('peak_in_flight')} | {len(row.runs)} |"
        )
    lines += [
        f"| {row.contender.name} | {row.problem.replace('|', '/')} {'| ' * 7}| {len(row.runs)} |"
        for row in cell.rows
        if row.problem
    ]
    return lines


def _ratio(row: Row, best: Row | None, figure: str) -> str:
    if best is None:
        return ""
    return f"{row.median(figure) / max(best.median(figure), 1e-9):.2f}"
