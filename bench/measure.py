"""Measuring in turn: one round runs every candidate once, so that a machine that drifts drifts under all of them."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Candidate = Callable[[], float]
"""Does one run of its work and returns the seconds that count; what it prepares does not."""


@dataclass(frozen=True)
class Target:
    """Where a ratio should lie: at most `most` or at least `least` times the base."""

    most: float | None = None
    least: float | None = None

    def judge(self, ratio: float) -> str:
        """Words for a ratio beside its target."""
        if self.most is not None:
            return f"at most {self.most:g}: " + ("met" if ratio <= self.most else "MISSED")
        return f"at least {self.least:g}: " + ("met" if self.least is None or ratio >= self.least else "MISSED")


def timed(work: Callable[[], object]) -> float:
    """The seconds a piece of work takes, without the garbage of the work before it."""
    gc.collect()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_turn(candidates: Mapping[str, Candidate], rounds: int) -> dict[str, float]:
    """The median seconds of each candidate; the order turns from round to round."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    for number in range(rounds):
        for name in names if number % 2 else reversed(names):
            seconds[name].append(candidates[name]())
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def heading(title: str) -> None:
    """The title of one comparison."""
    print(f"\n{title}", flush=True)


def say(what: str, figure: str, remark: str = "") -> None:
    """One line of a comparison."""
    print(f"  {what:<58} {figure:>16}  {remark}".rstrip(), flush=True)


def compare(medians: Mapping[str, float], base: str, targets: Mapping[str, Target]) -> None:
    """Print medians and their ratios to the base, judged where there is a target."""
    for name, seconds in medians.items():
        ratio = seconds / medians[base]
        remark = f"{ratio:5.2f} x" + (f"   {targets[name].judge(ratio)}" if name in targets else "")
        say(name, f"{seconds * 1000:,.1f} ms", remark)
