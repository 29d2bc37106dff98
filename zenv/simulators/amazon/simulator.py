"""The whole simulated Amazon: the shop, plus the switches for time, faults and the authorisation."""

from __future__ import annotations

from typing import Any

from .faults import NAMES
from .records import Fault
from .state import locked
from .storefront import Storefront


class AmazonSimulator(Storefront):
    """A made-up seller account at a made-up Amazon; serve it with `serve`."""

    def wind(self, seconds: float) -> None:
        """Move the clock forward; what falls due meanwhile has happened when this returns."""
        with self.lock:
            self.clock.wind(seconds)
            self.clock.settle()

    def fault(self, name: str, operation: str | None = None, times: int = 1, **detail: Any) -> None:
        """Arm a fault (see `faults`) for the next `times` requests it fits; `operation` None means any."""
        if name not in NAMES:
            raise ValueError(f"no fault is called {name}; there are {', '.join(sorted(NAMES))}")
        with self.lock:
            self.faults.append(Fault(name, operation, times, detail))

    @locked
    def revoke(self) -> None:
        """The seller withdraws the authorisation: refresh tokens and access tokens stop working."""
        self.revoked_refresh_tokens |= {self.refresh_token} | self.granted_refresh_tokens
        self.tokens.clear()

    @locked
    def authorise(self) -> str:
        """The seller authorises anew: a further refresh token, which also becomes `refresh_token`."""
        self.refresh_token = f"Atzr|{self._code(80)}"
        self.granted_refresh_tokens.add(self.refresh_token)
        return self.refresh_token
