"""The control face of `zenv sim amazon`: buyers, clock and faults by HTTP, for a person or a script."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .records import SoldOut
from .simulator import AmazonSimulator
from .wire import Answer

VERBS = (
    "add_listing",
    "cancel",
    "change_address",
    "change_quantity",
    "deliver",
    "fault",
    "pay",
    "place_order",
    "request_cancel",
    "revoke",
    "ship_elsewhere",
    "wind",
)


def control(sim: AmazonSimulator, method: str, path: str, body: bytes) -> Answer:
    """GET /control/state, or POST /control/VERB with the simulator method's arguments as a JSON object."""
    verb = path.removeprefix("/control/")
    if method == "GET" and verb == "state":
        return Answer(200, sim.summary())
    if method != "POST" or verb not in VERBS:
        return Answer(404, {"error": f"POST /control/{{{','.join(VERBS)}}} or GET /control/state"})
    try:
        arguments: dict[str, Any] = json.loads(body or b"{}")
        deed: Callable[..., object] = getattr(sim, verb)
        result = deed(**arguments)
    except (ValueError, TypeError, KeyError, SoldOut) as problem:
        return Answer(400, {"error": f"{type(problem).__name__}: {problem}"})
    return Answer(200, {"result": result if isinstance(result, str) else None})
