"""`zenv daemon`: the process that keeps the schedule, whether it runs, and the unit that lets systemd keep it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zenv import commands
from zenv.commands import Done, Record, Rows, Value
from zenv.errors import NotFound, Refused, SettingsError, UsageError

if TYPE_CHECKING:
    from zenv.units import Setting

app = commands.noun("The process that keeps the schedule: run it, see it, let systemd keep it.")

HIDDEN = ("/home", "/root", "/run/user")
"""What ProtectHome=yes hides from a service of the machine."""
SYSTEM_UNITS = Path("/etc/systemd/system")
ELSEWHERE = "python3 -m venv /opt/zenv && /opt/zenv/bin/pip install zenv, and keep the ledger in /var/lib/zenv"


@app.command()
def run() -> None:
    """Keep the schedule in the foreground, until Ctrl-C or SIGTERM; systemd calls this.

    The request in flight is let end; a second signal ends the daemon at once, which is safe too. SIGHUP looks at the
    ledger anew. There is one daemon for a ledger: a second one says who runs, and exits with 75.
    """
    from zenv import daemon

    daemon.run(commands.home())


@app.command()
def status() -> Value:
    """Say whether the daemon runs, what it is at, and how much is late. Exit code 0 while it runs, else 66."""
    from zenv import daemon
    from zenv.ledger import views

    home = commands.home()
    tasks = commands.shown(views.schedule(home), "Nothing is planned yet.")
    found, seen = daemon.running(home), daemon.last_signature(home)
    at = tasks.columns.index
    at_work = [f"{row[at('connection')]} {row[at('task')]}" for row in tasks.rows if row[at("why")] == "running"]
    late = sum(bool(row[at("late")]) for row in tasks.rows)
    fields = {"running": found is not None, "pid": found and found.pid, "since_at": found and found.since,
              "home": str(home), "seen_at": seen.get("seen_at"), "waits": seen.get("state", ""), "at_work": at_work,
              "late_tasks": late}  # fmt: skip
    trouble = None if found else NotFound("The daemon is not running.", "zenv daemon run, or zenv daemon install")
    return Record(fields, trouble=trouble)


@app.command()
def install(
    system: Annotated[bool, typer.Option("--system", help="A service of this machine, as the user zenv.")] = False,
    user: Annotated[bool, typer.Option("--user", help="A service of yours, for a desktop.")] = False,
    timer: Annotated[
        bool, typer.Option("--timer", help="No daemon: a timer that runs `zenv sync due` every minute.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Replace another unit of that name without asking.")] = False,
) -> Value:
    """Write a hardened systemd unit for this zenv and this ledger, and say what is next. Nothing is started."""
    if system == user:
        raise UsageError("Choose one: --system or --user.", "zenv daemon install --help")
    from zenv import units

    _refuse_both(timer, system)
    return install_units(system, lambda setting: units.units(setting, timer), units.DUE_TIMER if timer else "zenv", yes)


# ---- the steps of install --------------------------------------------------------------------------------


def install_units(system: bool, texts_for: Callable[[Setting], dict[str, str]], unit: str, yes: bool) -> Value:
    """Write units, of which `unit` is the one to enable. Look at everything first: what is refused leaves nothing half
    done."""
    from zenv import units

    if system:
        _refuse_what_a_service_cannot_have()
    folder = _folder(system)
    kind, detail = _key_place(system)
    credential = detail if kind == "systemd" else ""
    texts = texts_for(units.Setting(program(), _home(), system, credential))
    changes = _differences(folder, texts)
    if changes.rows and not commands.confirmed(changes, "Replace what is there?", yes):
        if commands.at_terminal():
            return Done("Nothing was written.")
        raise UsageError(f"There is another unit of that name in {folder}. Nothing was written.", "Add --yes.")
    steps = _hand_over([_home(), *([Path(detail)] if kind == "file" else [])]) if system else []
    steps += [("wrote", str(_write(folder / name, text))) for name, text in texts.items()]
    return Rows(("step", "what"), steps + _next(system, unit))


def _folder(system: bool) -> Path:
    return SYSTEM_UNITS if system else _users_units()


def _home() -> Path:
    return commands.home().absolute()


def program() -> tuple[str, ...]:
    """The words that start this very zenv: its script, or Python with the package."""
    for place in (Path(sys.argv[0]), Path(sys.executable).with_name("zenv")):
        if place.name == "zenv" and place.is_file() and os.access(place, os.X_OK):
            return (str(place.absolute()),)
    return (sys.executable, "-m", "zenv")


def _refuse_what_a_service_cannot_have() -> None:
    if os.geteuid() != 0:
        again = f"sudo {' '.join(program())} --home {_home()} daemon install --system"
        raise Refused("A service of the machine is installed by root.", f"{again}, or: zenv daemon install --user")
    needed = {"ledger": _home(), "zenv": Path(__file__), "Python": Path(sys.prefix), "its base": Path(sys.base_prefix)}
    for what, place in needed.items():
        if any(place.resolve().is_relative_to(hidden) for hidden in HIDDEN):
            raise Refused(f"A service of the machine cannot see {place} ({what}): homes are hidden from it.", ELSEWHERE)


def _users_units() -> Path:
    chosen = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(chosen) if chosen else Path.home() / ".config") / "systemd" / "user"


def _refuse_both(timer: bool, system: bool) -> None:
    """The daemon beside the timer would do no harm, but one of the two is for nothing."""
    from zenv import units

    other = units.SERVICE if timer else units.DUE_TIMER
    wanted_by = _folder(system).glob(f"*.wants/{other}")
    if any(wanted_by):
        disable = f"{_systemctl(system)} disable --now {other}"
        raise Refused(f"{other} is enabled already, and the daemon or the timer is enough.", disable)


def _key_place(system: bool) -> tuple[str, str]:
    """Where the ledger says its key is; Refused where the service could not get it there."""
    with commands.opened() as book:
        store = book.key_place()[0]
    if system and store.kind == "keyring":
        raise Refused("The key is in a desktop's keyring, which a service of the machine cannot open.",
                      f"zenv --home {_home()} key move --to systemd")  # fmt: skip
    if not system and store.kind == "systemd":
        raise Refused("The key is sealed for a service of the machine; a service of yours cannot open it.",
                      "zenv daemon install --system, or as root: zenv key move --to file")  # fmt: skip
    return store.kind, store.detail


def _differences(folder: Path, texts: dict[str, str]) -> Rows:
    """What would change in units that are there already."""
    import difflib

    lines: list[str] = []
    for name, text in texts.items():
        if (folder / name).exists():
            old = (folder / name).read_text("utf-8", "replace").splitlines()
            lines += difflib.unified_diff(old, text.splitlines(), str(folder / name), "new", lineterm="", n=0)
    return Rows(("change",), [(line,) for line in lines])


def _write(path: Path, text: str) -> Path:
    """Whole or not at all; systemd and everybody may read it."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, "utf-8")
    part.chmod(0o644)
    part.replace(path)
    return path


def _hand_over(places: list[Path]) -> list[tuple[str, str]]:
    """See to it that the service's user exists and that the ledger is theirs. What belongs to root is handed over, what
    belongs to a person is not."""
    from zenv.units import SYSTEM_USER

    steps = []
    if _user_id(SYSTEM_USER) is None:
        _make_user(SYSTEM_USER)
        steps.append(("made", f"the system user {SYSTEM_USER}"))
    number = _user_id(SYSTEM_USER)
    for place in places:
        if place.stat().st_uid not in (0, number):
            raise Refused(f"{place} belongs to {place.owner()}, and the service runs as {SYSTEM_USER}.",
                          f"chown -R {SYSTEM_USER}: {place}")  # fmt: skip
        if _give(place, SYSTEM_USER):
            steps.append(("handed over", f"{place} to {SYSTEM_USER}"))
    return steps


def _user_id(name: str) -> int | None:
    import pwd

    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _make_user(name: str) -> None:
    import subprocess

    words = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
             "--shell", "/usr/sbin/nologin", name]  # fmt: skip
    try:
        subprocess.run(words, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise SettingsError(f"The system user {name} could not be made.", " ".join(words)) from None


def _give(place: Path, name: str) -> bool:
    """Give what is root's in this place to a user; whether there was any. Links are not followed."""
    import pwd

    inside = (Path(folder) / entry for folder, folders, files in os.walk(place) for entry in (*folders, *files))
    theirs = [one for one in (place, *inside) if one.lstat().st_uid == 0]
    found = pwd.getpwnam(name)
    for one in theirs:
        os.chown(one, found.pw_uid, found.pw_gid, follow_symlinks=False)
    return bool(theirs)


def _systemctl(system: bool) -> str:
    return "systemctl" if system else "systemctl --user"


def _next(system: bool, unit: str) -> list[tuple[str, str]]:
    linger = [] if system else [("next", "loginctl enable-linger   (or it ends when you log out)")]
    call = _systemctl(system)
    return [("next", f"{call} daemon-reload"), ("next", f"{call} enable --now {unit}"), *linger]
