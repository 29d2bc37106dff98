"""The registry of connectors: each kind is known by its dotted path and imported on first use, so that a
command that speaks to nobody does not pay for an HTTP client."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from zenv.errors import NotFound

if TYPE_CHECKING:
    from zenv.connectors.base import Connector

KINDS = {
    "amazon": "zenv.connectors.amazon.connector:AmazonConnector",
    "zfn": "zenv.connectors.zfn.connector:ZfnConnector",
    "zfn_client": "zenv.connectors.zfn_client:ClientConnector",
}


def load(kind: str) -> type[Connector]:
    """The class of the connector of this kind. Raises NotFound, naming the kinds there are."""
    if kind not in KINDS:
        raise NotFound(f"There is no connector of kind {kind!r}; there are: {', '.join(sorted(KINDS))}.")
    module, name = KINDS[kind].split(":")
    return cast("type[Connector]", getattr(import_module(module), name))
