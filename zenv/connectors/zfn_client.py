"""A client of ours in the fulfilment network: it calls us (zenv.server), so there is nothing to read or to tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from zenv.connectors.base import SecretField, Task, Terms, World
from zenv.errors import Refused
from zenv.facts import Account, Message, Page, Receipt


class ClientConnector:
    """A connection without tasks."""

    kind: ClassVar[str] = "zfn_client"
    secrets: ClassVar[tuple[SecretField, ...]] = ()
    tasks: ClassVar[tuple[Task, ...]] = ()

    def __init__(self, terms: Terms, secrets: Mapping[str, str], world: World) -> None:
        self._terms = terms

    def check(self) -> Account:
        """Refused: a client is accepted, never connected to."""
        raise self._it_calls_us()

    def pull(self, stream: str, cursor: str | None) -> Iterator[Page]:
        """Refused."""
        raise self._it_calls_us()

    def period(self, stream: str, since: datetime, until: datetime) -> Iterator[Page]:
        """Refused."""
        raise self._it_calls_us()

    def fetch(self, kind: str, references: Sequence[str]) -> Iterator[Page]:
        """Refused."""
        raise self._it_calls_us()

    def push(self, messages: Sequence[Message]) -> Iterator[Receipt]:
        """Refused: what we have to tell waits until the client asks."""
        raise self._it_calls_us()

    def follow(self, remote_ref: str, messages: Sequence[Message]) -> Iterator[Receipt]:
        """Refused."""
        raise self._it_calls_us()

    def find(self, message: Message) -> Receipt:
        """Refused."""
        raise self._it_calls_us()

    def close(self) -> None:
        """Nothing is open."""

    def _it_calls_us(self) -> Refused:
        return Refused(f"{self._terms.name} is a client: it calls this zenv, which has nothing to ask of it.",
                       "zenv zfn clients")  # fmt: skip
