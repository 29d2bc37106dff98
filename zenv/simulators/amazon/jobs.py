"""What feeds and reports share: lists filtered by the same parameters and paged by a lone nextToken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from .clock import stamp
from .state import State
from .wire import Call, invalid

STATUSES = frozenset({"CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"})
KEPT_DAYS = 90


class Job(Protocol):
    """A feed or a report, as far as its life goes."""

    marketplaces: list[str]
    created: datetime
    status: str
    started: datetime | None
    ended: datetime | None


J = TypeVar("J", bound=Job)


def timestamps(job: Job) -> dict[str, Any]:
    """The fields feeds and reports share."""
    shown: dict[str, Any] = {
        "marketplaceIds": job.marketplaces,
        "createdTime": stamp(job.created),
        "processingStatus": job.status,
    }
    if job.started:
        shown["processingStartTime"] = stamp(job.started)
    if job.ended:
        shown["processingEndTime"] = stamp(job.ended)
    return shown


def listed(
    sim: State, call: Call, jobs: dict[str, J], types_name: str, kind: Callable[[J], str]
) -> tuple[list[J], str | None]:
    """The page of a getFeeds or getReports, newest first, and the token of the next page."""
    token = call.one("nextToken")
    if token is None:
        found, offset, size = _matching(call, jobs, types_name, kind), 0, call.whole("pageSize", 10, 100)
    else:
        if len(call.query) > 1:
            raise invalid("nextToken must be the only parameter.")
        if token not in sim.searches:
            raise invalid("The nextToken is not valid.")
        size_text, found, offset = sim.searches[token]
        size = int(size_text)
    following = None
    if offset + size < len(found):
        following = sim.new_id("jobs+/")
        sim.searches[following] = (str(size), found, offset + size)
    return [jobs[job_id] for job_id in found[offset : offset + size]], following


def _matching(call: Call, jobs: dict[str, J], types_name: str, kind: Callable[[J], str]) -> list[str]:
    call.need(types_name)
    types = call.many(types_name, most=10)
    statuses = call.many("processingStatuses", STATUSES)
    places = set(call.many("marketplaceIds", most=10))
    since = call.time("createdSince") or call.at - timedelta(days=KEPT_DAYS)
    until = call.time("createdUntil") or call.at
    return [
        job_id
        for job_id, job in reversed(jobs.items())
        if kind(job) in types
        and (not statuses or job.status in statuses)
        and (not places or places & set(job.marketplaces))
        and since <= job.created <= until
    ]


def places_of(sim: State, body: dict[str, Any]) -> list[str]:
    """The 1 to 25 marketplaces a job is for."""
    places = body.get("marketplaceIds")
    if not isinstance(places, list) or not 1 <= len(places) <= 25:
        raise invalid("marketplaceIds must hold 1 to 25 marketplaces.")
    if strange := [place for place in places if place not in sim.marketplaces]:
        raise invalid(f"The seller does not sell in marketplace {strange[0]}.")
    return places
