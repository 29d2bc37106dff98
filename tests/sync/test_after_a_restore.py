"""A restored ledger has been away: what happened at the channel since is heard, and none of it is told again."""

from __future__ import annotations

from pathlib import Path

from tests import books
from tests.sync.shop import run_all, sim_of
from tests.year.company import Company
from zenv import sync
from zenv.ledger import backup, orders, restore


def test_I3_a_package_told_after_the_backup_is_not_told_again_by_the_restored_ledger(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    told_later = sim.place_order([("POT-1", 1)])
    left_later = sim.place_order([("MUG", 2)])
    shop.clock.wind(600)
    assert {result.outcome for result in run_all(shop)} == {"ok"}
    with shop.book.transaction() as t:
        orders.ship(t, told_later, [orders.NewPackage("UPS", "1ZTOLD")])
    made = backup.make(shop.book)
    with shop.book.transaction() as t:
        orders.ship(t, left_later, [orders.NewPackage("UPS", "1ZLEFT")])
    shop.clock.wind(600)
    assert {result.outcome for result in run_all(shop)} == {"ok"}
    assert len(sim.confirmations) == 2
    shop.book.close()
    restore.restore(shop.book.home, Path(made.path), shop.clock)
    # Before the orders are read: those would show the package, and nothing would be owed any more.
    assert sync.run(shop.book, "a", "shipments", shop.world(10**7)).outcome == "ok"
    for _ in range(2):
        shop.clock.wind(3600)
        assert {result.outcome for result in run_all(shop)} == {"ok"}
    assert [(said.tracking, said.edit) for said in sim.confirmations] == [("1ZTOLD", False), ("1ZLEFT", False)]
    shown = dict(books.ask(shop.book, "SELECT number, told FROM shipments"))
    assert shown == {told_later: "confirmed", left_later: "shipped elsewhere"}
    levels = dict(books.ask(shop.book, "SELECT sku, on_hand FROM levels WHERE warehouse = 'Main'"))
    assert (levels["POT-1"], levels["MUG"]) == (4, 18)
