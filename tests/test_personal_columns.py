"""Every column that could hold a person's data is accounted for."""

from __future__ import annotations

from sqlalchemy import LargeBinary
from sqlmodel.sql.sqltypes import AutoString

from zenv.ledger import columns
from zenv.ledger.models import SQLModel


def of_the_models() -> set[str]:
    return {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, AutoString | LargeBinary)
    }


def test_A28_every_column_of_text_or_bytes_says_what_it_holds_of_people() -> None:
    said = columns.classified()
    assert of_the_models() - said.keys() == set(), "say in zenv/ledger/columns.py what these hold of people"
    assert said.keys() - of_the_models() == set(), "these are not there any more"


def test_no_column_is_two_things_at_once() -> None:
    assert {column: classes for column, classes in columns.classified().items() if len(classes) > 1} == {}


def test_A32_the_only_sealed_columns_and_the_only_places_are_these() -> None:
    found = {column: classes for column, classes in columns.classified().items() if {"sealed", "place"} & set(classes)}
    assert set(found) == {
        "personal.sealed", "secret.sealed", "standing.sealed", "customer_order.city", "customer_order.region",
        "customer_order.postcode", "customer_order.country",
    }  # fmt: skip
