"""What is to be done when, who does it, and how each run went."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field, SQLModel

from zenv.ledger.models.base import one_of, strict


class ScheduledTask(SQLModel, table=True):
    """When a task is due, and when it is late (schedule). Housekeeping has no connection.

    `longest` is the documented time between two runs, in seconds; `every` is the owner's shorter wish. `next_at` is
    when it is started next, `late_at` when it will have broken its bound. `failures` counts failed runs in a row;
    `waits` says why `next_at` is not simply the next slot ("throttled", "failed", "stopped").
    """

    __tablename__ = "scheduled_task"
    __table_args__ = strict(
        CheckConstraint("longest > 0", name="longest_is_a_time"),
        CheckConstraint("every > 0 AND every <= longest", name="only_shorter"),
        CheckConstraint("failures >= 0", name="failures_not_negative"),
        one_of("waits", "", "throttled", "failed", "stopped"),
        Index("one_row_per_task", text("coalesce(connection_id, 0)"), "task", unique=True),
    )
    id: int | None = Field(default=None, primary_key=True)
    connection_id: int | None = Field(default=None, foreign_key="connection.id")
    task: str
    longest: int
    at_midnight: bool = False
    every: int | None = None
    next_at: datetime
    late_at: datetime
    last_at: datetime | None = None
    last_ok_at: datetime | None = None
    failures: int = 0
    waits: str = ""


class Breaker(SQLModel, table=True):
    """A connection whose runs fail one after the other is left alone for a while (breaker; C3).

    Open while `open_until` lies ahead; half open after it, when one run is let through to see.
    """

    __table_args__ = strict(CheckConstraint("failures >= 0", name="failures_not_negative"))
    connection_id: int = Field(foreign_key="connection.id", primary_key=True)
    failures: int = 0
    opened_at: datetime | None = None
    open_until: datetime | None = None
    why: str = ""


class Attendance(SQLModel, table=True):
    """Who keeps the schedule, the daemon or `sync due`, and when they were last seen at it (attendance)."""

    __table_args__ = strict(one_of("who", "daemon", "sync due"))
    who: str = Field(primary_key=True)
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    ended_at: datetime | None = None
    state: str = ""


class Run(SQLModel, table=True):
    """One attempt at one task, also when it found nothing (runs). Housekeeping has no connection.

    `worker` is who does it (`daemon HOST PID`); `again` is the run whose records this one fetches again.
    """

    __table_args__ = strict(one_of("outcome", "running", "ok", "partial", "failed", "abandoned"))
    id: int | None = Field(default=None, primary_key=True)
    connection_id: int | None = Field(default=None, foreign_key="connection.id", index=True)
    task: str
    worker: str = ""
    again: int | None = None
    started_at: datetime
    ended_at: datetime | None = None
    lease_until: datetime | None = None
    outcome: str = "running"
    items: int = 0
    items_failed: int = 0
    orders: int = 0
    orders_failed: int = 0
    sent: int = 0
    failed: int = 0
    note: str = ""


class RunRecords(SQLModel, table=True):
    """Which records of one kind a page of a run brought, as a JSON list of remote ids (runs; H65)."""

    __tablename__ = "run_records"
    __table_args__ = strict()
    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True)
    kind: str
    remote_ids: str


class RunFailure(SQLModel, table=True):
    """A record a run set aside, with the reason; the others went on (runs; C2)."""

    __tablename__ = "run_failure"
    __table_args__ = strict()
    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True)
    kind: str
    remote_id: str
    reason: str
    settled_at: datetime | None = None
