"""What an answer's body may tell: whether it is a JSON object, and the code of an error; never its text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_CODE = re.compile(r"[A-Za-z0-9_.: -]{1,64}")


def json_object(content_type: str, body: bytes) -> dict[str, Any] | None:
    """The JSON object in an answer; None when the answer is anything else."""
    if "json" not in content_type.lower():
        return None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def error_code(content: dict[str, Any] | None) -> str:
    """The code of the first error, in the shapes of the selling partner API, of OAuth and of RFC 9457 (as zenv itself
    answers); "" without one."""
    if content is None:
        return ""
    code = content.get("error") or content.get("code") or _first_error(content).get("code")
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def asks_to_wait(headers: Mapping[str, str]) -> bool:
    """Whether a 503 comes from the remote itself, which has done nothing and says when to ask again; one of a proxy in
    between may mean anything."""
    return "problem+json" in headers.get("content-type", "").lower() and "retry-after" in headers


def speaks_of_token(content: dict[str, Any]) -> bool:
    """Whether an error says that the access token is no good; a missing role has the same status and code."""
    error = _first_error(content)
    said = f"{error.get('message')} {error.get('details')}".lower()
    return "token" in said and any(word in said for word in ("expired", "revoked", "invalid", "missing"))


def _first_error(content: dict[str, Any]) -> dict[str, Any]:
    errors = content.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    return first if isinstance(first, dict) else {}
