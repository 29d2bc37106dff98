#!/usr/bin/env bash
# Runs as root inside a booted systemd (boot.sh): zenv is set up as docs/always_on.md says, and put through a server's
# life. Prints `ok: ...` for each thing that held, and stops at the first that did not.
set -euo pipefail
export LC_ALL=C PATH=/opt/zenv/bin:$PATH ZENV_HOME=/var/lib/zenv HOME=/root

ok() { # ok WHAT COMMAND...: it holds now
    local what=$1
    shift
    if "$@"; then echo "ok: $what"; else
        echo "NOT: $what"
        systemctl status zenv --no-pager -l || true
        journalctl -u zenv -n 20 --no-pager || true
        exit 1
    fi
}
soon() { # soon WHAT COMMAND...: it holds within a minute
    local what=$1 tries=0
    shift
    until "$@" || [ $((tries += 1)) -ge 300 ]; do sleep 0.2; done
    ok "$what" "$@"
}
is() { [ "$1" = "$2" ] || { echo "  it is '$1', not '$2'"; return 1; }; }
shows() { [[ "$(systemctl show zenv --value -p "$1")" == $2 ]]; }
has() { grep -q -- "$@"; }

# ---- a server is set up: ledger, key sealed, account, unit

zenv init --company Lamps --country DE --time-zone Europe/Berlin --currency EUR --key-store file >/dev/null
zenv key move --to systemd >/dev/null
ok "the open key is gone, the sealed one is there" test ! -e /var/lib/zenv/master.key -a -s /etc/zenv/zenv.key.cred

zenv sim amazon --port 8701 --items 5 --orders 2 >/opt/test/sim.txt 2>&1 &
until grep -q '^Then: ' /opt/test/sim.txt; do sleep 0.1; done
sed -n '/^zenv connect/,/^END/p' /opt/test/sim.txt | bash >/dev/null
zenv daemon install --system >/opt/test/install.txt
ok "install says what it did and what is next" has 'next.systemctl enable --now zenv' /opt/test/install.txt
ok "the ledger belongs to the service" is "$(find /var/lib/zenv ! -user zenv | wc -l)" 0
ok "systemd finds nothing wrong" is "$(systemd-analyze verify /etc/systemd/system/zenv.service 2>&1)" ""
ok "nothing was started" shows ActiveState inactive

mkdir -p /etc/systemd/system/zenv.service.d # only to see in seconds what takes minutes
printf '[Service]\nWatchdogSec=4s\nTimeoutAbortSec=1s\nRestartSec=200ms\n' >/etc/systemd/system/zenv.service.d/quick.conf
systemctl daemon-reload

# ---- it works

ok "it starts" systemctl --quiet enable --now zenv
ok "it is active once it has said READY" shows ActiveState active
orders_came() { [ "$(zenv sql 'SELECT COUNT(*) FROM orders' | tail -1)" -ge 1 ]; }
all_ran() { [ "$(zenv sql 'SELECT COUNT(*) FROM schedule WHERE last_ok_at IS NULL' | tail -1)" = 0 ]; }
soon "orders came in, with credentials opened by the sealed key" orders_came
soon "every task has run" all_ran
ok "systemctl shows what it is at" shows StatusText '*at work'
ok "it runs as its own user" is "$(ps -o user= -p "$(systemctl show zenv --value -p MainPID)")" zenv
ok "zenv daemon status says so too" is "$(zenv daemon status | sed -n "s/^running\t//p")" yes
ok "nobody else can read the credential" is "$(setpriv --reuid=65534 --regid=65534 --clear-groups cat \
    /run/credentials/zenv.service/zenv.key 2>&1 | grep -c 'Permission denied')" 1
ok "nor the sealed file" is "$(stat -c %a /etc/zenv/zenv.key.cred)" 600

# ---- reload, good and refused

logged() { journalctl --sync && journalctl -u zenv -o cat --no-pager "${@:2}" | grep -- "$1" >/dev/null; }
time_zone() {
    /opt/zenv/bin/python -c '
import sys
from zenv.ledger import sqlite
with sqlite.module.connect("/var/lib/zenv/ledger.db") as ledger:
    ledger.execute("UPDATE company SET time_zone = ?", sys.argv[1:])' "$1"
}

systemctl reload zenv
soon "a reload is done" logged '^daemon event=reloaded$'
soon "and leaves it active" shows ActiveState active
time_zone Mars/Olympus
systemctl reload zenv
soon "a reload that is refused says why, as an error" logged '^daemon event=reload_refused why=.*Mars' -p 3
soon "and leaves it active too" shows ActiveState active
time_zone Europe/Berlin

# ---- the journal

ok "a line per run, with the priority of information" \
    logged '^run connection=simulated task=orders run=[0-9]* outcome=ok' -p 6..6
ok "no line has a prefix or a time of its own" is "$(journalctl -u zenv -o cat --no-pager \
    | grep -cE '^<[0-9]>|^20[0-9][0-9]-')" 0

# ---- it dies and comes back

restarted() { shows ActiveState active && shows NRestarts "$1"; }
kill -9 "$(systemctl show zenv --value -p MainPID)"
soon "after kill -9 it is started again" restarted 1
kill -STOP "$(systemctl show zenv --value -p MainPID)"
soon "when it hangs the watchdog has it started again" restarted 2
ok "that was the watchdog" logged 'Watchdog timeout'

# ---- and ends

systemctl disable --now zenv 2>/dev/null
ok "it stopped in good order" shows Result success
ok "and with exit code 0" shows ExecMainStatus 0
ok "zenv daemon status says that it is off" is "$(zenv daemon status >/dev/null 2>&1 || echo $?)" 66
ok "nothing of it is left" is "$(ps -o pid= -u zenv | wc -l)" 0

# ---- the timer instead

zenv daemon install --system --timer >/dev/null
systemctl daemon-reload
systemctl enable --now zenv-due.timer 2>/dev/null
ok "the timer waits" is "$(systemctl is-active zenv-due.timer)" active
systemctl start zenv-due.service
ok "its service runs what is due, with the key, and ends well" is "$(systemctl show zenv-due --value -p Result)" success
zenv daemon install --system >/dev/null 2>/opt/test/both.txt && exit 1
ok "the daemon is not installed beside it" has 'systemctl disable --now zenv-due.timer' /opt/test/both.txt
echo "all held"
