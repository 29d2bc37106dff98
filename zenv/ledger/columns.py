"""What every column of text or bytes holds, as far as people are concerned. A test walks the models: a column that
stands nowhere here fails it, so that nobody adds a place for personal data without saying so.
"""

from __future__ import annotations

from collections.abc import Mapping

SEALED: Mapping[str, str] = {
    "personal": "sealed",
    "secret": "sealed",
    "standing": "sealed",
}
"""Ciphertext: the recipient of an order under a key of its own (policy), a credential under the master key."""

PSEUDONYMS: Mapping[str, str] = {
    "customer": "pseudonym",
    "personal": "key_id",
    "customer_order": "number remote_id replaces",
    "fulfilment": "remote_number",
    "run_failure": "remote_id",
    "run_records": "remote_ids",
}
"""Names for an order or a customer that tell nothing by themselves."""

PLACES: Mapping[str, str] = {"customer_order": "city region postcode country"}
"""Kept for reports and tax (A32, 1.8.b)."""

FREE_TEXT: Mapping[str, str] = {
    "order_comment": "text",
    "movement": "note reference",
    "run": "note",
    "run_failure": "reason",
    "message": "reason",
    "notice": "subject text",
    "breaker": "why",
    "customer_order": "hold",
    "inbound": "supplier",
    "audit": "subject detail",
}
"""Sentences: zenv's own, but a person or a remote may have had a hand in them. `zenv privacy verify` looks through."""

HARMLESS: Mapping[str, tuple[str, str]] = {
    "attendance": ("who host state", "the machine and the process that keep the schedule"),
    "audit": ("actor action result digest", "who of your own people did what; a digest of the row"),
    "client": ("name company_id import_user state fingerprint",
               "companies whose goods you keep; who of your own people"),
    "company": ("ledger_id name country time_zone currency key_kind key_detail key_fingerprint next_key_fingerprint",
                "your own company, and where its key is kept"),
    "connection": ("name kind external_id region status marketplaces home_marketplace endpoint consent_scope",
                   "your own account and its settings"),
    "cursor": ("stream position", "how far a stream was read: times and tokens"),
    "customer_order": ("state channel_status cancelling cancel_reason buyer_wants_cancel fulfilled_by marketplace "
                       "service_level currency digest entered_by",
                       "codes; who of your own people; a digest of the order without its recipient"),
    "fulfilment": ("state wish digest", "codes; units of a line that are to change; a digest"),
    "inbound": ("number kind remote_id state made_by", "goods on their way; who of your own people"),
    "inbound_line": ("remote_id sku", "what is on its way"),
    "item": ("sku gtin name attributes", "your goods"),
    "link": ("state provider user_name fingerprint", "your provider; who of your own people"),
    "link_request": ("company_id company_name user_name warehouse fingerprint token_id state decided_by",
                     "a company that asks to be a client, and who of its people and yours"),
    "link_token": ("id hash scopes used_for", "a client's token, as a keyed hash"),
    "listing": ("sku name asin gtin product_type fulfilled_by status parent_sku attributes currency digest",
                "your offers"),
    "message": ("kind state remote_ref", "codes, and the remote's number of a submission"),
    "movement": ("reason actor digest", "a code, who of your own people, a digest of the row"),
    "notice": ("kind command", "a code, and a command of zenv"),
    "order_line": ("remote_id sku name", "what was bought"),
    "paper": ("kind type file made_by", "codes, a name made here, who of your own people"),
    "place": ("state", "a code"),
    "privacy_term": ("entry", "a name in the policy"),
    "rate_bucket": ("key", "an account and an operation"),
    "run": ("task worker outcome", "codes, and which process"),
    "run_failure": ("kind", "a code"),
    "run_records": ("kind", "a code"),
    "scheduled_task": ("task waits", "codes"),
    "secret": ("field", "the name of a credential"),
    "shipment": ("reference carrier service tracking", "how a package travels; a tracking number names no person"),
    "standing": ("plan provider support_contact address certificates certificate", "your own company as a provider"),
    "warehouse": ("name kind keeper", "your own places; who of your own people"),
    "zenv_user": ("name", "your own people"),
}  # fmt: skip


def classified() -> dict[str, list[str]]:
    """Every column that stands above, as `table.column`, with the classes it stands in."""
    classes = {"sealed": SEALED, "pseudonym": PSEUDONYMS, "place": PLACES, "free text": FREE_TEXT,
               "harmless": {table: columns for table, (columns, _) in HARMLESS.items()}}  # fmt: skip
    found: dict[str, list[str]] = {}
    for name, tables in classes.items():
        for table, columns in tables.items():
            for column in columns.split():
                found.setdefault(f"{table}.{column}", []).append(name)
    return found


def free_text() -> list[tuple[str, str]]:
    """Table and column of all free text."""
    return [(table, column) for table, columns in FREE_TEXT.items() for column in columns.split()]
