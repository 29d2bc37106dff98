"""The systemd units as text: settings in, text out.

Each line of the hardening was tried on systemd 252 (Debian 12): `systemd-analyze verify` says nothing, `security`
gives 1.2 where an unguarded service gets 9.6, and the daemon works under it. A user manager ignores the protection of
the file system without PrivateUsers=yes, opens no sealed credentials, and knows no network-online.target.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zenv.credentials.systemd import CREDENTIAL

SERVICE, DUE_SERVICE, DUE_TIMER = "zenv.service", "zenv-due.service", "zenv-due.timer"
FACE = "zenv-serve.service"
SYSTEM_USER = "zenv"
STATE = Path("/var/lib/zenv")
"""What StateDirectory=zenv makes and hands over, with the right owner."""

_HARDENING = """\
OOMPolicy=stop
MemoryMax=1G
TasksMax=64
LimitCORE=0
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
PrivateTmp=yes
PrivateMounts=yes
PrivateDevices=yes
DevicePolicy=closed
PrivateUsers=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @mount @debug @cpu-emulation @obsolete
SystemCallErrorNumber=EPERM
""".splitlines()

_DAEMON = """\
Type=notify
NotifyAccess=main
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=10s
WatchdogSec=2min
TimeoutStartSec=2min
TimeoutStopSec=45s
KillMode=mixed
""".splitlines()

_FACE = """\
Type=notify
NotifyAccess=main
Restart=on-failure
RestartSec=10s
TimeoutStartSec=2min
TimeoutStopSec=45s
KillMode=mixed
""".splitlines()

MENDED_BY_A_PERSON = "RestartPreventExitStatus=2 64 65 66 78 79"
"""No ledger, a wrong setting, a wrong option, a rule: starting again would not help."""
NO_FAILURE = "SuccessExitStatus=75 80"
"""Somebody else is at it; something waits on the inbox: the timer comes again, and the unit has not failed."""

EVERY = "minutely"
"""Finer than the tenth of the shortest interval (10 min) by which a task starts early: a coarser grid would start it
after its bound."""


@dataclass(frozen=True)
class Setting:
    """Where zenv and its ledger are, and whose unit it is: `system` runs as SYSTEM_USER, else it is a person's own.

    `zenv` are the words that start this very zenv; `credential` is the file in which the master key of a system unit
    is sealed for systemd to hand over, if it is.
    """

    zenv: tuple[str, ...]
    home: Path
    system: bool
    credential: str = ""


def daemon_unit(setting: Setting) -> str:
    """zenv.service: the daemon, kept alive."""
    about = ["Description=zenv, which keeps a seller's ledger and its accounts in step", *_after(setting),
             "StartLimitIntervalSec=10min", "StartLimitBurst=5"]  # fmt: skip
    target = "multi-user.target" if setting.system else "default.target"
    service = [_start(setting, "daemon", "run"), *_DAEMON, MENDED_BY_A_PERSON, *_place(setting), *_HARDENING]
    return _text(("Unit", about), ("Service", service), ("Install", [f"WantedBy={target}"]))


def due_unit(setting: Setting) -> str:
    """zenv-due.service: what is due, once; its timer starts it."""
    about = ["Description=zenv runs what is due, once", *_after(setting)]
    service = ["Type=oneshot", _start(setting, "sync", "due", "--quiet"), NO_FAILURE, "TimeoutStopSec=45s",
               *_place(setting), *_HARDENING]  # fmt: skip
    return _text(("Unit", about), ("Service", service))


def due_timer() -> str:
    """zenv-due.timer. What was missed while the machine was off is made up for once."""
    timer = [f"OnCalendar={EVERY}", "AccuracySec=1s", "Persistent=yes"]
    return _text(
        ("Unit", ["Description=zenv runs what is due, every minute"]),
        ("Timer", timer),
        ("Install", ["WantedBy=timers.target"]),
    )


def face(setting: Setting, listen: str) -> dict[str, str]:
    """zenv-serve.service: the face of a provider, kept alive; the file by its name."""
    about = ["Description=zenv, the face of a fulfilment provider", *_after(setting),
             "StartLimitIntervalSec=10min", "StartLimitBurst=5"]  # fmt: skip
    target = "multi-user.target" if setting.system else "default.target"
    service = [_start(setting, "serve", "--listen", listen), *_FACE, MENDED_BY_A_PERSON, *_place(setting), *_HARDENING]
    return {FACE: _text(("Unit", about), ("Service", service), ("Install", [f"WantedBy={target}"]))}


def units(setting: Setting, timer: bool) -> dict[str, str]:
    """The files to write, by name: the daemon's, or the timer's two."""
    if timer:
        return {DUE_SERVICE: due_unit(setting), DUE_TIMER: due_timer()}
    return {SERVICE: daemon_unit(setting)}


# ---- the parts -------------------------------------------------------------------------------------------


def _after(setting: Setting) -> list[str]:
    if not setting.system:
        return []
    return ["After=network-online.target time-sync.target", "Wants=network-online.target"]


def _start(setting: Setting, *words: str) -> str:
    program, *rest = setting.zenv
    return " ".join((f"ExecStart={path(program)}", *map(quoted, (*rest, "--home", str(setting.home), *words))))


def _place(setting: Setting) -> Iterator[str]:
    """Whose process it is, and the one place it may write to."""
    yield "UMask=0077"
    if setting.system:
        yield f"User={SYSTEM_USER}"
    if setting.system and setting.home == STATE:
        yield from ("StateDirectory=zenv", "StateDirectoryMode=0700")
    else:
        yield f"ReadWritePaths={path(setting.home)}"
    yield f"ProtectHome={'yes' if setting.system else 'read-only'}"
    if setting.credential:
        yield f"LoadCredentialEncrypted={CREDENTIAL}:{setting.credential.replace('%', '%%')}"


def quoted(word: str) -> str:
    """A word of a command line: systemd knows % for its own values, $ for variables, and quotes as a shell does."""
    return path(word).replace("$", "$$")


def path(place: Path | str) -> str:
    """A program, or a path in a list of paths: there a $ is a letter like others."""
    plain = str(place).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{plain}"' if plain != str(place) or any(blank in plain for blank in " \t'") else plain


def _text(*sections: tuple[str, Iterable[str]]) -> str:
    return "\n".join("\n".join((f"[{title}]", *lines, "")) for title, lines in sections)
