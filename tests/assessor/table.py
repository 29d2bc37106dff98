"""How an assessor uses each command once, in this order. A command that is not here fails the test of completeness.

`{names}` are filled in by the play: orders of the person in several states, files, the other company's home.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Use:
    """A command line for the command `path` (its first words). `shows`: the person may stand in its answer, and in
    nothing else; `seated`: only where somebody sits at a terminal. `fails`: it may be refused here; what it says then
    is searched all the same."""

    path: str
    rest: str = ""
    stdin: str = ""
    shows: bool = False
    seated: bool = False
    fails: bool = False
    stop: tuple[int, float] = (0, 0.0)
    before: str = ""

    def words(self, names: Mapping[str, str]) -> tuple[str, ...]:
        """The command line, with the names filled in."""
        return tuple(word.format_map(names) for word in shlex.split(f"{self.before} {self.path} {self.rest}"))


OTHER = "--home {other}"
NEW_COMPANY = ("--company Other --country US --time-zone America/New_York --currency USD --key-store file"
               " --key-file {safe}/other.key --yes")  # fmt: skip
NEW_ACCOUNT = ("amazon --country US --seller-id {seller} --endpoint {url} --name b --consent --adopt-new --enable --yes"
               " --secret-stdin")  # fmt: skip

TABLE = [
    Use("init", NEW_COMPANY, before=OTHER),
    Use("connect", NEW_ACCOUNT, stdin="{secrets}", before=OTHER),
    Use("connections remove", "b --yes", before=OTHER),
    Use("status"),
    Use("warehouses list"),
    Use("warehouses add", "Side"),
    Use("warehouses edit", "Side --rank 30"),
    Use("warehouses deactivate", "Side"),
    Use("warehouses reactivate", "Side"),
    Use("warehouses reimport-items", "Main"),
    Use("warehouses add", "Depot --provider zfn"),
    Use("zfn request", f"--warehouse Depot --code zfn:127.0.0.1:9/nobody/{'a' * 52}", fails=True),
    Use("zfn reimport", "Depot", fails=True),
    Use("zfn compare", "Depot", fails=True),
    Use("zfn rotate", "Depot", fails=True),
    Use("zfn disconnect", "Depot", fails=True),
    Use("items add", "PLATE --name 'A plate'"),
    Use("items edit", "PLATE --name 'A large plate'"),
    Use("items import", "{items} --yes"),
    Use("items list"),
    Use("items show", "MUG"),
    Use("items unconfirmed"),
    Use("items confirm", "--all"),
    Use("items unlink", "MUG --connection a"),
    Use("items link", "MUG MUG --connection a"),
    Use("items resend", "MUG --connection a"),
    Use("items why", "MUG"),
    Use("stock receive", "PLATE 9 --warehouse Main"),
    Use("stock adjust", "PLATE -1 --why broken --warehouse Main"),
    Use("stock count", "PLATE 7 --warehouse Main --yes"),
    Use("stock transfer", "PLATE 1 --from Main --to Side"),
    Use("stock transfers"),
    Use("stock arrive", "1"),
    Use("stock levels"),
    Use("stock history", "PLATE"),
    Use("stock why", "MUG"),
    Use("inbound order", "--warehouse Main --line PLATE=5 --supplier 'Plates Ltd'"),
    Use("inbound list"),
    Use("inbound show", "PO-1"),
    Use("inbound receive", "PO-1 --line PLATE=3"),
    Use("inbound complete", "PO-1"),
    Use("inbound request", "--from Main --to Side --line PLATE=1"),
    Use("inbound allocate", "TO-1"),
    Use("inbound pick", "TO-1"),
    Use("inbound ship", "TO-1"),
    Use("inbound transfer", "--from Main --to Side --line PLATE=1"),
    Use("inbound cancel", "TO-2"),
    Use("orders list"),
    Use("orders list", "{show}"),
    Use("orders show", "{show}", seated=True),
    Use("orders show", "{show} {opening}", shows=True),
    Use("orders show", "{redacted} {opening}"),
    Use("orders create", "--line PLATE=1 --number M-77 --recipient", stdin="{person}"),
    Use("orders show", "M-77 {opening}", shows=True),
    Use("orders import", "{orders} --yes"),
    Use("orders import", "{absent} --yes", fails=True, shows=True),  # the name of a file is what they typed themselves
    Use("orders slip", "{show}", shows=True, fails=True),
    Use("orders slip", "{show} --output {prints}/slip.pdf"),
    Use("orders label print", "{show} --output {prints}/address.pdf"),
    Use("orders label attach", "{show} {label}"),
    Use("orders label print", "{show} --output {prints}/label.pdf"),
    Use("orders label list", "{show}"),
    Use("customers list"),
    Use("customers show", "C-000001"),
    Use("privacy policy"),
    Use("privacy check", fails=True),
    Use("privacy explain", "{show}"),
    Use("privacy explain", "{redacted}"),
    Use("privacy redact", "{forget} --yes"),
    Use("privacy verify", fails=True),
    Use("privacy clear", "--yes"),
    Use("privacy certificate"),
    Use("privacy old"),
    Use("privacy set", "amazon-recipients 20"),
    Use("audit list"),
    Use("audit head"),
    Use("audit verify"),
    Use("orders hold", "{show} --reason 'wait for it'"),
    Use("orders release", "{show}"),
    Use("orders deallocate", "{show}"),
    Use("orders allocate", "{show}"),
    Use("orders pick", "{show}"),
    Use("orders unpick", "{show}"),
    Use("orders ship", "{ship} --carrier UPS --tracking 1Z999"),
    Use("orders edit", "{cancel} --ship-by 2026-12-24"),
    Use("orders cancel", "{cancel} --reason no_stock"),
    Use("orders complete", "{shipped}"),
    Use("orders comment", "{show} 'called them'"),
    Use("sync plan", "a"),
    Use("sync now", "a"),
    Use("sync now", "housekeeping"),
    Use("sync due"),
    Use("sync history"),
    Use("sync show", "{trouble}"),
    Use("sync rerun", "{run}", fails=True),
    Use("sync retry", "1", fails=True),
    Use("schedule"),
    Use("schedule every", "a orders 10m"),
    Use("connections list"),
    Use("connections show", "a"),
    Use("connections edit", "a --buffer 1 --yes"),
    Use("connections disable", "a"),
    Use("connections enable", "a"),
    Use("connections login", "a --secret-stdin", stdin="{secrets}"),
    Use("users list"),
    Use("users add", "ben --administrator"),
    Use("zfn plan", "enterprise"),
    Use("zfn enable"),
    Use("zfn grant"),
    Use("zfn settings", "--address 127.0.0.1:8470"),
    Use("zfn invite"),
    Use("zfn requests"),
    Use("zfn accept", "1 --import-user ben --new-client", fails=True),
    Use("zfn deny", "1", fails=True),
    Use("zfn delete", "Nobody", fails=True),
    Use("zfn clients"),
    Use("serve", "--listen 127.0.0.1:18470", stop=(signal.SIGTERM, 3.0), fails=True),
    Use("serve install", "--user", fails=True),
    Use("users deactivate", "ben"),
    Use("inbox"),
    Use("inbox settle", "sync {show}", fails=True),
    Use("key show"),
    Use("key export", "--yes"),
    Use("key move", "--to file --key-file {safe}/moved.key"),
    Use("key rotate"),
    Use("daemon run", stop=(signal.SIGTERM, 1.5), fails=True),
    Use("daemon status", fails=True),
    Use("daemon install", "--user", fails=True),
    Use("doctor", fails=True),
    Use("doctor compare", "a --since 2026-01-01", fails=True),
    Use("doctor mend", "order_state {show}", fails=True),
    Use("backup", "{backup}"),
    Use("restore"),
    Use("restore", "{backup} --yes"),
    Use("sql", "'SELECT * FROM orders'"),
    Use("sql", "'SELECT * FROM personal'"),
    Use("demo"),
    Use("demo zfn"),
    Use("sim amazon", "--port 0 --items 3 --orders 3", stop=(signal.SIGINT, 1.0), fails=True),
]


def covered() -> set[str]:
    """The commands used here, by their full names."""
    return {"zenv connect amazon" if use.path == "connect" else f"zenv {use.path}" for use in TABLE}


def reading() -> list[Use]:
    """Those whose answer tells of orders and goods, and changes nothing: reports."""
    named = ("orders list", "items list", "items show", "items unconfirmed", "items why", "stock transfers",
             "stock levels", "stock history", "stock why", "warehouses list", "connections list", "connections show",
             "status", "inbox", "sync plan")  # fmt: skip
    return [use for use in TABLE if use.path in named or use.seated]  # fmt: skip
