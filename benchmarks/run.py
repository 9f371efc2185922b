"""Compare ways to upload: `python -m benchmarks.run --quick`; see README.md beside this file.

Every contender is a process of its own on the same work, in turn, A B A B …; a contender that
fails or whose work does not arrive in full is shown as failed.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import targets
from benchmarks.chart import draw
from benchmarks.contenders.registry import CONTENDERS, Contender
from benchmarks.measure import ROOT, run_once
from benchmarks.results import Cell, Row, as_json, as_markdown, machine
from benchmarks.servers import SERVERS, Server, make_server
from benchmarks.work import SCENARIOS, Scenario, Work, work_tree

QUICK_SECONDS = 155.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line."""

    scenarios: Sequence[Scenario]
    servers: Sequence[str]
    contenders: Sequence[Contender]
    runs: int
    quick: bool
    timeout: float
    deadline: float
    extra: dict[str, str]
    out: Path


def parse(argv: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=__doc__)
    _choice(parser, "--scenario", [item.name for item in SCENARIOS])
    _choice(parser, "--server", SERVERS)
    _choice(parser, "--contender", [item.name for item in CONTENDERS])
    parser.add_argument("--runs", type=int, help="rounds; default 5, quick 3")
    parser.add_argument("--quick", action="store_true", help="small sizes, three minutes in all")
    parser.add_argument("--budget", type=float, help="seconds after which no round begins")
    parser.add_argument("--timeout", type=float, help="seconds a run may take")
    parser.add_argument("--out", type=Path, default=Path(ROOT) / "benchmarks" / "results")
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="for our own contenders"
    )
    given = parser.parse_args(argv)
    budget = given.budget or (QUICK_SECONDS if given.quick else float("inf"))
    return Options(
        scenarios=[item for item in SCENARIOS if item.name in (given.scenario or [item.name])],
        servers=given.server or (),
        contenders=[item for item in CONTENDERS if item.name in (given.contender or [item.name])],
        runs=given.runs or (3 if given.quick else 5),
        quick=given.quick,
        timeout=given.timeout or (30.0 if given.quick else 600.0),
        deadline=time.monotonic() + budget,
        extra=dict(item.split("=", 1) for item in given.env),
        out=given.out,
    )


def _choice(parser: argparse.ArgumentParser, name: str, choices: Sequence[str]) -> None:
    parser.add_argument(name, action="append", choices=choices, help="may be repeated")


class Bench:
    """The servers and work trees of a run, kept until it ends."""

    def __init__(self, options: Options, root: str, stack: ExitStack) -> None:
        self._options = options
        self._root = root
        self._stack = stack
        self._servers: dict[str, Server] = {}
        self._count = 0
        self._took: dict[int, float] = {}

    def server(self, name: str) -> Server:
        """Return the running server of that name."""
        if name not in self._servers:
            self._servers[name] = self._stack.enter_context(make_server(name))
        return self._servers[name]

    def scenario(self, scenario: Scenario) -> tuple[Work, list[Cell]]:
        """Make a scenario's files and its empty cells."""
        options = self._options
        work = self._stack.enter_context(work_tree(scenario, self._root, quick=options.quick))
        usual = scenario.quick_servers if options.quick else scenario.servers
        cells = []
        for name in options.servers or usual:
            rows = [Row(contender) for contender in options.contenders]
            for row in rows:
                row.skipped = _reason_to_skip(row.contender, self.server(name))
            cells.append(Cell(scenario.name, scenario.label(quick=options.quick), name, rows))
        return work, cells

    def round(self, cell: Cell, work: Work) -> None:
        """Let every contender run once; one that failed is not asked again.

        After the first round a cell is only begun if there is time to finish it.
        """
        options = self._options
        began = time.monotonic()
        if id(cell) in self._took and began + self._took[id(cell)] > options.deadline:
            return
        for row in cell.rows:
            if row.skipped or row.problem.startswith("FAILED"):
                continue
            self._count += 1
            run = run_once(
                row.contender,
                self.server(cell.server),
                work,
                f"run{self._count:04}",
                timeout=options.timeout,
                extra=options.extra,
            )
            row.runs.append(run)
            figures = run.problem or f"wall {run.wall:.2f} CPU {run.cpu:.2f} {run.rss:.0f} MB"
            place = f"{cell.label}, {cell.server}"
            print(f"{place}: {row.contender.name}: {figures}", file=sys.stderr, flush=True)
        self._took[id(cell)] = time.monotonic() - began


def _reason_to_skip(contender: Contender, server: Server) -> str:
    if server.needs_signature and not contender.signs:
        return "sends no signature"
    return contender.missing()


def run(options: Options) -> list[Cell]:
    """Run everything and return the figures."""
    # A quick run goes round all cells, so that the time runs out fairly; a full one finishes a
    # scenario before the next, so that its files need not exist together.
    groups = [options.scenarios] if options.quick else [[item] for item in options.scenarios]
    done: list[Cell] = []
    for group in groups:
        with ExitStack() as stack:
            root = stack.enter_context(tempfile.TemporaryDirectory(prefix="s3-uploader-bench-"))
            bench = Bench(options, root, stack)
            wanted = [item for item in group if _cells_wanted(item, options)]
            pairs = [bench.scenario(item) for item in wanted]
            for _ in range(options.runs):
                for work, cells in pairs:
                    for cell in cells:
                        bench.round(cell, work)
            done += [cell for _, cells in pairs for cell in cells]
    return done


def _cells_wanted(scenario: Scenario, options: Options) -> bool:
    usual = scenario.quick_servers if options.quick else scenario.servers
    return bool(options.servers or usual)


def write(cells: Sequence[Cell], about: dict[str, Any], out: Path) -> None:
    """Write results.json, results.md and results.png, and print the tables."""
    out.mkdir(parents=True, exist_ok=True)
    text = f"{as_markdown(cells, about)}\n{targets.as_markdown(cells, quick=about['quick'])}"
    (out / "results.json").write_text(as_json(cells, about), encoding="utf-8")
    (out / "results.md").write_text(text, encoding="utf-8")
    print(text)
    try:
        draw(cells, str(out / "results.png"))
    except ImportError:
        print("no chart: matplotlib is not installed (extra: bench)", file=sys.stderr)
    print(f"written to {out}", file=sys.stderr)


def main() -> int:
    """Run; 1 if one of our own contenders failed."""
    # So that an end by `kill` also stops the servers and deletes the files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = parse()
    about = machine() | {"runs": options.runs, "quick": options.quick, "extra": options.extra}
    began = time.monotonic()
    cells = run(options)
    about["seconds"] = round(time.monotonic() - began, 1)
    write(cells, about, options.out)
    failed = [row for cell in cells for row in cell.rows if row.problem.startswith("FAILED")]
    return 1 if any(row.contender.ours for row in failed) else 0


if __name__ == "__main__":
    sys.exit(main())
