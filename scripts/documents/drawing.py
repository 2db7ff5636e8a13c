"""Boxes on floors with arrows that all run down, as SVG.

Order and places are found as by Sugiyama, Tagawa and Toda (1981): an arrow over several floors gets a place
on each of them, and every floor is ordered by the mean place of its neighbours, down and up by turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

FLOOR, BOX, GAP, MARGIN, CHARACTER = 62, 30, 22, 20, 8
SWEEPS = 24
STYLE = """
    text { font: 14px ui-monospace, SFMono-Regular, Menlo, monospace; text-anchor: middle; fill: #1f2328 }
    .paper { fill: #ffffff }
    .floor { fill: #f3f5f8 }
    .box { fill: #ffffff; stroke: #57606a; stroke-width: 1.2 }
    .apart { stroke-dasharray: 5 3 }
    .ui { fill: #ddf4ff }
    .arrow { fill: none; stroke: #6e7781; stroke-width: 1.2 }
    .head { fill: #6e7781 }
"""

# A box's name, or an arrow's place on a floor between its ends.
Node = tuple[str, ...]


@dataclass
class Plan:
    """``floors`` from the top; ``down`` joins nodes of two floors next to each other; ``x`` is a middle."""

    floors: list[list[Node]]
    down: list[tuple[Node, Node]]
    x: dict[Node, float] = field(default_factory=dict)

    def neighbours(self, node: Node, below: bool) -> list[Node]:
        """Those on the next floor, down or up."""
        return [pair[below] for pair in self.down if pair[not below] == node]


def draw(
    floors: Sequence[Sequence[str]],
    arrows: Sequence[tuple[str, str]],
    kinds: Mapping[str, str],
    title: str,
) -> str:
    """The picture. ``kinds`` are classes of boxes. Raises ValueError for an arrow that does not run down."""
    plan = _plan(floors, arrows)
    _order(plan)
    _place(plan)
    width = round(max(x + _width(n) / 2 for n, x in plan.x.items()) + MARGIN)
    height = FLOOR * len(floors) + 2 * MARGIN
    body = [*_bands(plan, width), *_arrows(plan, arrows), *_boxes(plan, kinds)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" role="img" aria-label="{escape(title)}">',
            f"  <title>{escape(title)}</title>",
            f"  <style>{STYLE}  </style>",
            '  <defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
            ' orient="auto"><path class="head" d="M0 1 L8 4 L0 7 z"/></marker></defs>',
            f'  <rect class="paper" width="{width}" height="{height}"/>',
            *(f"  {line}" for line in body),
            "</svg>",
        ]
    )


def _plan(floors: Sequence[Sequence[str]], arrows: Sequence[tuple[str, str]]) -> Plan:
    level = {name: number for number, floor in enumerate(floors) for name in floor}
    plan = Plan([[(name,) for name in floor] for floor in floors], [])
    for above, below in arrows:
        if level[above] >= level[below]:
            raise ValueError(f"{above} imports {below}, which is not on a floor below")
        way = _way(above, below, level[above], level[below])
        for number, node in enumerate(way[1:-1], level[above] + 1):
            plan.floors[number].append(node)
        plan.down += pairwise(way)
    return plan


def _way(above: str, below: str, first: int, last: int) -> list[Node]:
    return [(above,), *((above, below, str(number)) for number in range(first + 1, last)), (below,)]


def _order(plan: Plan) -> None:
    """The order with the fewest crossings of those that were tried."""
    best, fewest = [list(floor) for floor in plan.floors], _crossings(plan)
    for sweep in range(SWEEPS):
        below = bool(sweep % 2)
        for floor in reversed(plan.floors) if below else plan.floors:
            at = {node: number for other in plan.floors for number, node in enumerate(other)}
            here = {node: [at[other] for other in plan.neighbours(node, below)] for node in floor}
            floor.sort(key=lambda node: sum(here[node]) / len(here[node]) if here[node] else at[node])
        if (found := _crossings(plan)) < fewest:
            best, fewest = [list(floor) for floor in plan.floors], found
    plan.floors = best


def _crossings(plan: Plan) -> int:
    at = {node: number for floor in plan.floors for number, node in enumerate(floor)}
    level = {node: number for number, floor in enumerate(plan.floors) for node in floor}
    pairs = [(level[a], at[a], at[b]) for a, b in plan.down]
    return sum(
        one[0] == two[0] and (one[1] - two[1]) * (one[2] - two[2]) < 0
        for number, one in enumerate(pairs)
        for two in pairs[:number]
    )


def _place(plan: Plan) -> None:
    """Each node near the mean of its neighbours, none over another."""
    for floor in plan.floors:
        plan.x.update(_apart(floor, [0.0] * len(floor)))
    for sweep in range(4 * SWEEPS):
        below = bool(sweep % 2)
        for floor in reversed(plan.floors) if below else plan.floors:
            wanted = []
            for node in floor:
                near = [plan.x[other] for other in plan.neighbours(node, below)] or [plan.x[node]]
                wanted.append(sum(near) / len(near))
            plan.x.update(_apart(floor, wanted))
    left = min(x - _width(node) / 2 for node, x in plan.x.items()) - MARGIN
    plan.x = {node: round(x - left) for node, x in plan.x.items()}


def _apart(floor: Sequence[Node], wanted: Sequence[float]) -> dict[Node, float]:
    """Pushed to the right where two overlap, to the left likewise, and the middle of both."""
    right, left = list(wanted), list(wanted)
    for one in range(1, len(floor)):
        right[one] = max(right[one], right[one - 1] + _distance(floor[one - 1], floor[one]))
    for one in reversed(range(len(floor) - 1)):
        left[one] = min(left[one], left[one + 1] - _distance(floor[one], floor[one + 1]))
    return {node: (a + b) / 2 for node, a, b in zip(floor, left, right, strict=True)}


def _width(node: Node) -> float:
    return CHARACTER * (len(node[0]) + 3) if len(node) == 1 else 0


def _distance(one: Node, two: Node) -> float:
    return (_width(one) + _width(two)) / 2 + GAP


def _y(floor: int) -> int:
    return MARGIN + floor * FLOOR + (FLOOR - BOX) // 2


def _bands(plan: Plan, width: int) -> list[str]:
    return [
        f'<rect class="floor" x="6" y="{_y(number) - 6}" width="{width - 12}" height="{BOX + 12}" rx="6"/>'
        for number in range(len(plan.floors))
    ]


def _arrows(plan: Plan, arrows: Sequence[tuple[str, str]]) -> list[str]:
    level = {node: number for number, floor in enumerate(plan.floors) for node in floor}
    lines = []
    for above, below in arrows:
        way = _way(above, below, level[above,], level[below,])
        steps = [f"M{plan.x[way[0]]} {_y(level[way[0]]) + BOX}"]
        for node in way[1:]:
            x, y, end = plan.x[node], _y(level[node]), FLOOR - BOX
            before = plan.x[way[way.index(node) - 1]]
            steps.append(f"C{before} {y - end // 2} {x} {y - end // 2} {x} {y}")
            if node != way[-1]:
                steps.append(f"V{y + BOX}")
        lines.append(f'<path class="arrow" d="{" ".join(steps)}" marker-end="url(#head)"/>')
    return lines


def _boxes(plan: Plan, kinds: Mapping[str, str]) -> list[str]:
    lines = []
    for number, floor in enumerate(plan.floors):
        for node in (node for node in floor if len(node) == 1):
            x, y, width = plan.x[node], _y(number), _width(node)
            kind = f"box {kinds.get(node[0], '')}".strip()
            box = f'x="{x - width / 2:g}" y="{y}" width="{width:g}" height="{BOX}" rx="4"'
            lines.append(f'<rect class="{kind}" {box}/>')
            lines.append(f'<text x="{x}" y="{y + 20}">{escape(node[0])}</text>')
    return lines
