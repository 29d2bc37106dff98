"""Bugs planted in the schedule, in the crew and in what both rest on: the days must find every one of them."""

from __future__ import annotations

from tests.killing import CHANGES, PLANNED_FOR_THE_NEXT_SLOT
from tests.year.mutants import Change, change
from zenv import crew, pulling
from zenv.ledger import breaker, schedule

_COMPARED = "tasks.c.next_at == found.next_at, tasks.c.next_at <= t.now"
_ACTIVE = 'connections.c.status == "active"'

MUTANTS: dict[str, tuple[Change, ...]] = {
    "a failed run plans nothing until tomorrow": (
        change(schedule._after_trouble, ("now + min(pause, period)", "now + timedelta(days=1)")),
    ),
    "a breaker that has opened lets nobody through any more": (
        change(schedule.due, (", breakers.c.open_until <= now)", ")")),
    ),
    "a disabled account is still asked": (
        change(schedule.due, (_ACTIVE, 'connections.c.status != "needs_login"')),
        change(pulling.Job.go_on, ('not in ("active", "needs_login")', "in ()")),
    ),
    "a refused login is tried again by every task": (
        change(schedule.due, (_ACTIVE, 'connections.c.status.in_(("active", "needs_login"))')),
    ),
    "a claim is not compared with what was read": (change(schedule.claim, (_COMPARED, "True")),),
    "a task that begins is planned for its next slot": CHANGES[PLANNED_FOR_THE_NEXT_SLOT],
    "redaction does not come first": (
        change(crew.Crew.start_one, ("if any(task.task == REDACTION", "if any(task.task == ()")),
    ),
    "a breaker opens at the first failure, for a day": (
        change(breaker._after_failure, ("failures < OPENS_AFTER", "failures < 1"),
               ("LONGEST_PAUSE)", "LONGEST_PAUSE) + timedelta(days=1)")),
    ),
}  # fmt: skip

FOUND_BY = {
    "a failed run plans nothing until tomorrow": (2, "late at"),
    "a breaker that has opened lets nobody through any more": (1, "late at"),
    "a disabled account is still asked": (1, "a disabled account was asked"),
    "a refused login is tried again by every task": (1, "refused logins"),
    "a claim is not compared with what was read": (4, "run twice at one moment"),
}
"""A seed that is known to find it and what it says, for the few that CI looks at."""
