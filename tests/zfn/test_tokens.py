"""Tokens: a keyed hash in the ledger, one exchange per secret, rotation with a day of overlap, and what survives a
rotation of the master key."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from tests import books
from tests.books import Clock, do
from tests.key_books import Place, a_place, keyring_of_files, no_key_given  # noqa: F401  # fixtures
from tests.zfn import companies
from tests.zfn.companies import PEPPER, ask, link, new_token, request
from zenv import credentials
from zenv.errors import KeyUnavailable, Refused
from zenv.ledger import keys
from zenv.ledger.book import Book
from zenv.ledger.transaction import AnyRow
from zenv.ledger.zfn import clients, standing, tokens


def good(book: Book, token: str, pepper: bytes = PEPPER) -> AnyRow | None:
    with book.reading() as sql:
        return tokens.check(sql, pepper, token, book.clock())


def scopes(book: Book, token: str) -> str:
    found = good(book, token)
    return found.scopes if found is not None else "none"


def test_a_token_is_known_and_any_other_is_not(provider: Book) -> None:
    _, token = link(provider)
    assert scopes(provider, token) == tokens.LINKED
    forged = token[:-1] + ("A" if token[-1] != "A" else "B")
    for other in (forged, new_token(), "", "zenv_", token[:22], token + "A", "ü" * 65):
        assert good(provider, other) is None
    assert good(provider, token, pepper=bytes(31) + b"\1") is None, "without the pepper the ledger lets nobody in"


def test_no_token_can_be_read_in_the_ledger(provider: Book) -> None:
    _, token = link(provider)
    provider.close()
    for file in provider.home.iterdir():
        assert token.encode() not in file.read_bytes()
        assert token.rpartition("_")[2].encode() not in file.read_bytes()


def test_a_token_ends_after_a_year(provider: Book, clock: Clock) -> None:
    _, token = link(provider)
    clock.later(days=364, hours=23)
    assert good(provider, token) is not None
    clock.later(hours=1)
    assert good(provider, token) is None


def test_a_secret_is_exchanged_once_and_the_lost_answer_is_given_again(provider: Book) -> None:
    said, token = request(), new_token()
    ask(provider, said)
    companies.accept(provider, 1)

    def exchange(against: str) -> object:
        with provider.transaction() as t:
            return tokens.exchange(t, PEPPER, tokens.check_again(t.sql, tokens.public_id(said.secret)), against)

    until = exchange(token)
    assert exchange(token) == until
    with pytest.raises(Refused, match="exchanged already"):
        exchange(new_token())
    assert good(provider, token) is not None


def test_a_token_of_somebody_elses_public_id_is_not_taken(provider: Book) -> None:
    _, theirs = link(provider)
    mine = theirs[:22] + new_token()[22:]
    with pytest.raises(Refused, match="cannot be taken"):
        link_with(provider, "other", mine)
    assert good(provider, theirs) is not None


def link_with(provider: Book, company: str, token: str) -> None:
    said = request(company)
    ask(provider, said)
    companies.accept(provider, 2)
    with provider.transaction() as t:
        tokens.exchange(t, PEPPER, tokens.check_again(t.sql, tokens.public_id(said.secret)), token)


def test_after_a_rotation_the_old_token_is_good_for_one_more_day(provider: Book, clock: Clock) -> None:
    _, old = link(provider)
    new, shown = new_token(), good(provider, old)
    until = do(provider, lambda t: tokens.rotate(t, PEPPER, shown, new))
    assert until == clock() + timedelta(days=365)
    assert do(provider, lambda t: tokens.rotate(t, PEPPER, shown, new)) == until, "said twice, done once"
    clock.later(hours=23)
    assert good(provider, old) is not None
    clock.later(hours=1)
    assert good(provider, old) is None
    assert scopes(provider, new) == tokens.LINKED


def test_the_token_of_a_parted_client_only_asks_how_the_link_stands(provider: Book) -> None:
    client, token = link(provider)
    do(provider, clients.part, client, "disconnected")
    assert scopes(provider, token) == "link"


def test_a_deleted_clients_token_is_dead_at_once(provider: Book) -> None:
    client, token = link(provider)
    do(provider, clients.part, client, "disconnected")
    with provider.reading() as sql:
        again = clients.by_id(sql, client.id)
    do(provider, clients.part, again, "deactivated")
    do(provider, clients.delete, client.name)
    assert good(provider, token) is None


# ---- what is sealed --------------------------------------------------------------------------------------


def as_provider(place: Place) -> tuple[str, str]:
    """A provider in this place with a client; the code and the client's token."""
    with place.opened() as book:
        companies.make_provider(book)
        code = str(standing.invite(book))
        _, token = link(book, pepper=standing.opened(book).pepper)
        return code, token


def still_opens(place: Place, code: str, token: str) -> None:
    with place.opened() as book:
        assert str(standing.invite(book)) == code
        assert good(book, token, standing.opened(book).pepper) is not None


def test_a_token_and_the_code_survive_a_rotation_of_the_master_key(place: Place) -> None:
    code, token = as_provider(place)
    with place.opened() as book:
        before = books.ask(book, "SELECT sealed FROM standing")
        keys.rotate(book)
        assert books.ask(book, "SELECT sealed FROM standing") != before
    still_opens(place, code, token)


def test_a_token_and_the_code_survive_a_rotation_that_is_killed_anywhere(place: Place) -> None:
    from tests.test_key_kills import killed_at

    code, token = as_provider(place)
    step, died = 1, True
    while died:

        def rotate() -> None:
            with place.opened() as book:
                keys.rotate(book)

        died = killed_at(step, rotate)
        still_opens(place, code, token)
        step += 7
    assert step > 5 * 7
    still_opens(place, code, token)


def test_a_part_of_the_key_is_enough_to_serve(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    code, token = as_provider(place)
    with place.opened() as book:
        part = keys.export(book, ("personal", "pepper"))
        other = keys.export(book, ("personal",))
    path = place.folder / "part.key"
    for line, fits in ((part, True), (other, False)):
        path.write_text(line)
        path.chmod(0o600)
        monkeypatch.setenv("ZENV_KEY_FILE", str(path))
        if fits:
            still_opens(place, code, token)
        else:
            with place.opened() as book, pytest.raises(KeyUnavailable, match="part of the key"):
                standing.opened(book)


def test_what_is_sealed_does_not_open_with_another_key(place: Place) -> None:
    as_provider(place)
    with place.opened() as book, book.reading() as sql:
        sealed = standing.read(sql).sealed
    with pytest.raises(KeyUnavailable):
        standing._opened(os.urandom(credentials.MASTER_KEY_BYTES), sealed)
