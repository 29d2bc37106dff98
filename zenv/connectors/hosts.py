"""Which addresses may be spoken to: https to a name, or http to this very machine, and nothing that a
remote's answer could talk us into."""

from __future__ import annotations

import ipaddress
import platform
import sys
from urllib.parse import urlsplit

from zenv import __version__
from zenv.errors import SettingsError


def user_agent() -> str:
    """`zenv/1.2.3 (Language=Python/3.11; Platform=Linux)`, the form Amazon asks for."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f"zenv/{__version__} (Language=Python/{python}; Platform={platform.system()})"


def is_loopback(address: str) -> bool:
    """Whether an address is this machine, by name or number."""
    host = urlsplit(address).hostname or ""
    number = _number(host)
    return host == "localhost" or (number is not None and number.is_loopback)


def checked_address(address: str, *, loopback: bool = True) -> str:
    """The address, when it may be spoken to: https to a name, or (with `loopback`) anything on this machine.

    Raises SettingsError without repeating the address, which may carry a signature.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        fine = parts.port != 0 and bool(host) and parts.username is None and parts.password is None
    except ValueError:
        fine, host = False, ""
    if fine and is_loopback(address):
        fine = loopback and parts.scheme in ("http", "https")
    elif fine:
        fine = parts.scheme == "https" and _number(host) is None
    if not fine:
        message = f"Only https to a host name, or http to this machine, is spoken to; not {host[:80]!r}."
        raise SettingsError(message, "Correct the endpoint of the connection.")
    return address


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
