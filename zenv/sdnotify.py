"""Telling systemd how we are: the datagrams of sd_notify(3), in place of a package."""

from __future__ import annotations

import os
import socket

LONGEST_S = 2.0


def notify(*lines: str) -> bool:
    """Send lines such as READY=1 to the supervisor that started us; whether there is one and it took them."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(LONGEST_S)
            sender.connect("\0" + address[1:] if address.startswith("@") else address)
            sender.sendall("\n".join(lines).encode())
    except OSError:
        # A supervisor that is gone or does not read must not stop the work; one that listens will miss the ping.
        return False
    return True


def watchdog_s() -> float | None:
    """Within how many seconds the supervisor wants a sign of life from this very process; None when it does not."""
    microseconds, meant = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or meant not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6 or None
