"""Every error a user can meet, classed by what can be done about it.

    ZenvError
    ├── UsageError          the command was called wrongly                exit 2
    ├── BadInput            a value or a file is not what it should be    exit 65
    ├── NotFound            what was named does not exist                 exit 66
    ├── Unreachable         a remote cannot be reached or is out of order exit 69
    │   ├── Throttled       the remote asks us to wait
    │   └── Unanswered      the request left, the answer was lost
    ├── Bug                 zenv broke one of its own promises            exit 70
    ├── DiskTrouble         the ledger's disk is full or failing          exit 74
    ├── Busy                somebody else holds the lock; try again       exit 75
    │   └── Stopped         a run was told to stop half-way
    ├── BadReply            a remote's answer makes no sense              exit 76
    ├── LoginNeeded         the remote does not accept our credentials    exit 77
    ├── SettingsError       a setting or the installation must be mended  exit 78
    │   ├── KeyUnavailable  the master key cannot be read
    │   │   └── KeyLocked   its store does not open now; a Busy too   exit 75
    │   └── WrongLedger     the file is another program's, or newer
    ├── Refused             a rule of zenv or the remote forbids it       exit 79
    └── NeedsAttention      done in part; something waits on the inbox    exit 80

An error says what happened, that nothing was lost, and the next command. It never carries a
response body, a secret or a person's data. Codes 64..78 follow BSD's sysexits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class RemoteNote:
    """What may be told of a remote's answer: its numbers and codes, never its text."""

    operation: str
    status: int = 0
    code: str = ""
    request_id: str = ""


class ZenvError(Exception):
    """What happened (`message`) and what to do now (`hint`, usually a command).

    `remote` is there when the error is a remote's answer.
    """

    exit_code: ClassVar[int] = 1
    meaning: ClassVar[str] = "the command failed"
    remote: RemoteNote | None = None

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ZenvError):
    exit_code = 2
    meaning = "the command was called wrongly"


class BadInput(ZenvError):
    exit_code = 65
    meaning = "a value or a file is not what it should be"


class NotFound(ZenvError):
    exit_code = 66
    meaning = "what was named does not exist"


class Unreachable(ZenvError):
    """Retry later: network trouble, 5xx, an HTML error page, half a body."""

    exit_code = 69
    meaning = "a remote cannot be reached or is out of order"


class Throttled(Unreachable):
    """The remote's rate limit: `wait` seconds until it is worth trying again."""

    def __init__(self, message: str, wait: float, hint: str = "") -> None:
        super().__init__(message, hint)
        self.wait = wait


class Unanswered(Unreachable):
    """A request with an effect left and its answer was lost: look it up, never repeat it blindly."""


class Bug(ZenvError):
    exit_code = 70
    meaning = "zenv broke one of its own promises; please report it"


class DiskTrouble(ZenvError):
    exit_code = 74
    meaning = "the disk of the ledger is full or failing"


class Busy(ZenvError):
    exit_code = 75
    meaning = "another process holds the lock; try again"


class Stopped(Busy):
    """A run was told to stop between two steps; what it had recorded stays, and the next run goes on from there."""


class LinkOver(Stopped):
    """What was just read or told has ended the link to a provider: nothing is left to do, and nothing went wrong."""


class BadReply(ZenvError):
    """A whole answer that makes no sense, or a 4xx on a request that used to be accepted."""

    exit_code = 76
    meaning = "a remote's answer makes no sense"


class LoginNeeded(ZenvError):
    exit_code = 77
    meaning = "the remote does not accept the credentials"


class SettingsError(ZenvError):
    exit_code = 78
    meaning = "a setting or the installation must be mended"


class KeyUnavailable(SettingsError):
    """The master key cannot be read, so secrets and personal data stay closed."""


class KeyLocked(Busy, KeyUnavailable):
    """The key store does not open now: locked, silent, or it lost what it took. Try again."""

    meaning = "the key store does not open now; try again"


class WrongLedger(SettingsError):
    """The file belongs to another program or was written by a newer zenv."""


class Refused(ZenvError):
    """A rule of zenv or of the remote forbids it; repeating will not help."""

    exit_code = 79
    meaning = "a rule forbids it"


class NeedsAttention(ZenvError):
    exit_code = 80
    meaning = "done in part; something waits on `zenv inbox`"


def all_errors(root: type[ZenvError] = ZenvError) -> list[type[ZenvError]]:
    """The tree flattened, parents before children; a class with two parents stands once, below its first."""
    found = (kind for child in root.__subclasses__() for kind in all_errors(child))
    return list(dict.fromkeys([root, *found]))
