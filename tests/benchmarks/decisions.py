"""What a decision costs in a small and in a large house: `python -m tests.benchmarks.decisions`.

The aim is a ratio: a request among 1,000 nodes takes at most 1.3 times what it takes among 10.
"""

import sys
from statistics import median
from time import perf_counter

from tests.core.large import house
from tests.core.story import Story

AIM = 1.3
ROUNDS, REQUESTS = 15, 400
HOUSES = {"10 nodes in 1 cluster": (1, 10), "1,000 nodes in 50 clusters": (50, 20)}


def main() -> int:
    """Measure the houses in turn, print a table, and return 1 if the aim is missed."""
    stories = {name: house(*shape) for name, shape in HOUSES.items()}
    took: dict[str, list[float]] = {name: [] for name in HOUSES}
    for turn in range(ROUNDS):
        for name, story in stories.items():
            took[name].append(_round(story, turn))
    small, large = (median(each) for each in took.values())
    ratios = [b / a for a, b in zip(*took.values(), strict=True)]
    lines = [f"{name:<28} {median(each) * 1e6:6.1f} us a request" for name, each in took.items()]
    word = "met" if large / small <= AIM else "missed"
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    lines.append(f"ratio {large / small:.2f} ({spread}), aim at most {AIM}: {word}")
    sys.stdout.write("\n".join(lines) + "\n")
    return int(large / small > AIM)


def _round(story: Story, turn: int) -> float:
    """Return the seconds that a request takes from its arrival to its end, on average."""
    began = perf_counter()
    for number in range(REQUESTS):
        request = f"{turn}.{number}"
        story.ask(request, draw=number / REQUESTS)
        story.succeed(request)
    took = perf_counter() - began
    story.said.clear()
    return took / REQUESTS


if __name__ == "__main__":
    sys.exit(main())
