"""The chart: one panel for each scenario and server."""

from collections.abc import Sequence
from typing import Any

from benchmarks.results import Cell, Row

OURS, PEER, FLOOR = "#1a7f5a", "#5f7794", "#a9a9a9"


def draw(cells: Sequence[Cell], path: str) -> None:
    """Write a PNG of CPU (bars: user, and lighter system) and wall time (diamonds).

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl  # noqa: PLC0415  (an extra, and slow to import)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    columns = min(2, len(cells))
    rows = -(-len(cells) // columns)
    size = (8 * columns, 0.8 + 4.2 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    panels = list(axes.flat)
    for panel, cell in zip(panels, cells, strict=False):
        _panel(panel, cell)
    for panel in panels[len(cells) :]:
        panel.set_visible(False)
    figure.suptitle(
        "Client CPU (bar: user, lighter: system) and wall time (diamond), seconds; less is better"
    )
    figure.savefig(path, dpi=110)


def _panel(panel: Any, cell: Cell) -> None:
    good = cell.good()
    rows = good + [row for row in cell.rows if row.problem]
    user = [row.median("user") if row in good else 0.0 for row in rows]
    system = [row.median("system") if row in good else 0.0 for row in rows]
    colours = [_colour(row) for row in rows]
    places = range(len(rows))
    panel.barh(places, user, color=colours)
    panel.barh(places, system, left=user, color=colours, alpha=0.55)
    walls = [row.median("wall") for row in good]
    panel.plot(walls, range(len(good)), "D", color="#c2541d", markersize=5)
    for place, row in enumerate(rows):
        if row.problem:
            text = "FAILED" if row.runs else "not run"
            panel.text(0, place, f" {text}", va="center", fontsize=8, color="#a01010")
    panel.set_yticks(places, [row.contender.name for row in rows])
    panel.invert_yaxis()
    panel.set_title(f"{cell.label}, {cell.server}", fontsize=10)
    panel.grid(axis="x", alpha=0.3)


def _colour(row: Row) -> str:
    if row.contender.ours:
        return OURS
    return PEER if row.contender.peer else FLOOR
