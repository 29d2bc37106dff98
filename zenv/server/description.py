"""The face as an OpenAPI document, for whoever writes a client of their own: docs/openapi.json, made by docs/make.py.

The server itself never shows it: who is not let in needs not know what there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi.openapi.utils import get_openapi

from zenv import wire
from zenv.server.access import OPEN
from zenv.server.face import application
from zenv.server.trouble import MEDIA_TYPE, TITLES

TITLE = "zenv: the face of a fulfilment provider"
ABOUT = "What a client may ask and say. Money, e-mail addresses and other clients occur in none of the types."
OF_ALL = ("bad input", "too many", "busy")
OF_A_TOKEN = ("no access", "not linked")
OF_A_BODY = ("bad request", "too slow", "too large", "not json")
OF_OPERATIONS = {
    "/company/{company}": ("not found",),
    "/requests": ("not found", "request waits"),
    "/link/token": ("refused",),
    "/link/tokens": ("refused",),
    "/link/parting": ("outstanding",),
    "/orders/{order}": ("not found",),
    "/inbounds/{inbound}": ("not found",),
    "/events": ("history changed",),
    "/levels": ("history changed",),
}


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    made = get_openapi(title=TITLE, version="1", description=ABOUT, routes=application().routes)
    parts = made["components"]
    parts["schemas"]["Trouble"] = wire.Trouble.model_json_schema()
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    for path, operation in _operations(made):
        guarded = OPEN not in operation["tags"]
        operation["security"] = [{"token": []}] if guarded else []
        _say_what_can_go_wrong(path, operation, guarded)
    return made


def _operations(made: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in made["paths"].items():
        for operation in methods.values():
            yield path.removeprefix(wire.PREFIX), operation


def _say_what_can_go_wrong(path: str, operation: dict[str, Any], guarded: bool) -> None:
    codes = [*OF_ALL, *(OF_A_TOKEN if guarded else ()), *(OF_A_BODY if "requestBody" in operation else ())]
    by_status: dict[str, list[str]] = {}
    for code in [*codes, *OF_OPERATIONS.get(path, ())]:
        by_status.setdefault(str(TITLES[code][0]), []).append(code)
    for status, of_it in sorted(by_status.items()):
        operation["responses"][status] = {
            "description": " ".join(TITLES[code][1] for code in of_it),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Trouble"}}},
        }
