"""Our own standing in the network: the plan, the provider function, how clients reach us, and the key they know us by.

The pepper of tokens and the private key of our certificate are random, made when first needed, and lie sealed under the
sub-key `pepper` (a part of the master key that may be handed out alone). The certificate is public.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv import credentials
from zenv.company_code import PUBLIC, CompanyCode, company_of, host_of, pin_of, read_address
from zenv.errors import BadInput, Busy, Refused, SettingsError
from zenv.ledger import audit, users
from zenv.ledger.book import Book
from zenv.ledger.models import Company, Standing
from zenv.ledger.transaction import Transaction, row, table
from zenv.privacy import strip_control

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

standings, companies = table(Standing), table(Company)

PLANS = ("standard", "enterprise")
CERTIFICATES = ("own", PUBLIC)
PEPPER_BYTES = 32
SEALED_AT = "standing|1|sealed"
LASTS = timedelta(days=20 * 365)
"""A pinned certificate is known by its key: an expiry would only break links."""
HOSTS_HERE = ("localhost", "127.0.0.1")


@dataclass(frozen=True, repr=False)
class Kept:
    """What is sealed: the pepper, and the private key of our certificate as PKCS 8 in DER."""

    pepper: bytes
    private_key: bytes


def read(sql: Connection) -> Standing:
    """Our standing; as it begins where nothing was ever set."""
    found = sql.execute(select(standings)).mappings().one_or_none()
    return Standing(**found) if found is not None else Standing()


# ---- the plan and the function ---------------------------------------------------------------------------


def choose_plan(t: Transaction, plan: str) -> None:
    """Put the company on a plan; administrators only. Leaving `enterprise` takes the provider function away."""
    users.demand_administrator(t, "choose the plan")
    if plan not in PLANS:
        raise BadInput(f"{strip_control(plan)!r} is no plan.", "give one of: " + ", ".join(PLANS))
    _set(t, plan=plan, provider=read(t.sql).provider if plan == "enterprise" else "")
    audit.record(t, "chose plan", plan)


def enable(t: Transaction) -> str:
    """Ask for the provider function; an administrator grants it (Z2, Z3). Its state: requested, granted."""
    standing = read(t.sql)
    if standing.plan != "enterprise":
        raise Refused(f"Only the plan enterprise can be a provider, and this company is on {standing.plan}. "
                      "Nothing was changed.", _way_out(t.sql, standing))  # fmt: skip
    if not standing.provider:
        _set(t, provider="requested")
        audit.record(t, "asked for the provider function")
    return standing.provider or "requested"


def grant(t: Transaction) -> None:
    """Grant the provider function that was asked for; administrators only (Z3)."""
    users.demand_administrator(t, "grant the provider function")
    standing = read(t.sql)
    if not standing.provider:
        raise Refused("Nobody has asked for the provider function.", "zenv zfn enable")
    if standing.provider == "requested":
        _set(t, provider="granted")
        audit.record(t, "granted the provider function")


def demand_provider(sql: Connection) -> None:
    """Refused, saying whom to ask, unless this company is a provider (Z3, Z4, Z8)."""
    standing = read(sql)
    if standing.plan != "enterprise" or standing.provider != "granted":
        raise Refused(f"This company ({_company(sql).name}) is no provider: {_missing(standing)}. "
                      "Nothing was changed.", _way_out(sql, standing))  # fmt: skip


def _missing(standing: Standing) -> str:
    if standing.plan != "enterprise":
        return f"it is on the plan {standing.plan}, not enterprise"
    return "the function was requested but not granted" if standing.provider else "the function was never requested"


def _way_out(sql: Connection, standing: Standing) -> str:
    """Whom to ask, and what comes next."""
    if standing.plan != "enterprise":
        return f"{whom_to_ask(sql)}\nAn administrator runs: zenv zfn plan enterprise"
    if not standing.provider:
        return f"{whom_to_ask(sql)}\nzenv zfn enable"
    return f"{whom_to_ask(sql)}\nAn administrator runs: zenv zfn grant"


def whom_to_ask(sql: Connection) -> str:
    """Who can help: the support contact, else the administrators (Z4)."""
    contact = read(sql).support_contact or " or ".join(users.administrators(sql))
    return f"Ask {contact}." if contact else "zenv zfn plan enterprise, zenv zfn enable, zenv zfn grant"


def edit(t: Transaction, **changes: Any) -> None:
    """Change settings (address, certificates, support_contact, may_edit_picked); administrators only."""
    users.demand_administrator(t, "change the provider's settings")
    if "address" in changes:
        changes["address"] = read_address(changes["address"])
    if changes.get("certificates", "own") not in CERTIFICATES:
        raise BadInput("Certificates are our own or public.", "give one of: " + ", ".join(CERTIFICATES))
    if "support_contact" in changes:
        changes["support_contact"] = strip_control(changes["support_contact"]).strip()[:200]
    _set(t, **changes)
    audit.record(t, "changed provider settings", detail=", ".join(sorted(changes)))


def settings(book: Book, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Our standing in words, after changing what is given. The certificate follows a new address."""
    if changes:
        with book.transaction() as t:
            edit(t, **changes)
    with book.reading() as sql:
        found = read(sql)
    if found.sealed:
        prepare(book)
    shown = ("plan", "provider", "address", "certificates", "support_contact", "may_edit_picked")
    return {name: getattr(found, name) for name in shown}


def _set(t: Transaction, **values: Any) -> None:
    entry = insert_or_update(standings).values(row(Standing, id=1) | values)
    t.sql.execute(entry.on_conflict_do_update(index_elements=["id"], set_=values))


def _company(sql: Connection) -> Any:
    return sql.execute(select(companies)).one()


# ---- the code --------------------------------------------------------------------------------------------


def invite(book: Book) -> CompanyCode:
    """The company code for a client (Z10, Z11): the same at every call; nothing else comes of it."""
    with book.reading() as sql:
        demand_provider(sql)
        if not read(sql).address:
            raise Refused("Nobody knows where clients reach you.", "zenv zfn settings --address HOST:PORT")
    prepare(book)
    with book.reading() as sql:
        return code(sql)


def code(sql: Connection) -> CompanyCode:
    """The company code, after `prepare`."""
    standing = read(sql)
    pin = PUBLIC if standing.certificates == PUBLIC else _pin(standing.certificate)
    return CompanyCode(standing.address, company_of(_company(sql).ledger_id), pin)


def company_name(sql: Connection) -> str:
    """What we are called."""
    return str(_company(sql).name)


def _pin(certificate: str) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    return pin_of(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


# ---- what is sealed --------------------------------------------------------------------------------------


def prepare(book: Book) -> Kept:
    """The pepper and the key, made now if they are not there yet; the certificate says where we are now.

    Raises KeyUnavailable, Busy when the master key was rotated this moment.
    """
    with book.reading() as sql:
        standing = read(sql)
    key = book.key()
    kept = _opened(key, standing.sealed) if standing.sealed else _new()
    if not standing.sealed or _hosts_in(standing.certificate) != _hosts(standing.address):
        with book.transaction() as t:
            kept = _store(t, key, kept)
    return kept


def _store(t: Transaction, key: credentials.Key, kept: Kept) -> Kept:
    # Under the write lock: another process may have made them meanwhile, or have rotated the key away.
    if credentials.key_check(key) != _company(t.sql).key_fingerprint:
        raise Busy("The master key was rotated this moment. Nothing was changed.", "Run the command again.")
    standing = read(t.sql)
    if standing.sealed:
        kept = _opened(key, standing.sealed)
    else:
        _set(t, sealed=_sealed(key, kept))
    _set(t, certificate=_certificate(kept, _hosts(standing.address), t.now))
    return kept


def opened(book: Book) -> Kept:
    """The pepper and the key; SettingsError where they were never made, KeyUnavailable where they do not open."""
    with book.reading() as sql:
        sealed = read(sql).sealed
    if not sealed:
        raise SettingsError("This provider has no key yet.", "zenv zfn invite")
    return _opened(book.key(), sealed)


def _new() -> Kept:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = generate_private_key(SECP256R1())
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return Kept(os.urandom(PEPPER_BYTES), der)


def _sealed(key: credentials.Key, kept: Kept) -> bytes:
    return credentials.seal(credentials.sub_key(key, "pepper"), kept.pepper + kept.private_key, SEALED_AT)


def _opened(key: credentials.Key, sealed: bytes) -> Kept:
    plain = credentials.unseal(credentials.sub_key(key, "pepper"), sealed, SEALED_AT)
    return Kept(plain[:PEPPER_BYTES], plain[PEPPER_BYTES:])


def reseal(sql: Connection, old: bytes, new: bytes) -> bytes | None:
    """What is kept sealed, sealed under the key that follows; None where there is nothing. KeyUnavailable where it
    does not open."""
    sealed = read(sql).sealed
    return _sealed(new, _opened(old, sealed)) if sealed else None


def replace_sealed(t: Transaction, sealed: bytes) -> None:
    """Keep what `reseal` gave, in the commit that makes the new key the ledger's own."""
    _set(t, sealed=sealed)


# ---- the certificate -------------------------------------------------------------------------------------


def _hosts(address: str) -> set[str]:
    return {*HOSTS_HERE, *([host_of(address)] if address else [])}


def _hosts_in(certificate: str) -> set[str]:
    from cryptography import x509

    names = x509.load_pem_x509_certificate(certificate.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return {str(name.value) for name in names.value}


def _certificate(kept: Kept, hosts: set[str], now: datetime) -> str:
    """A self-signed certificate of our key for these hosts, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = private_key(kept)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "zenv")])
    public = private.public_key()
    made = (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number(), now - timedelta(days=1), now + LASTS)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in sorted(hosts)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(private, SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def _general_name(host: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def private_key(kept: Kept) -> EllipticCurvePrivateKey:
    """The private key of our certificate."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    found = load_der_private_key(kept.private_key, None)
    assert isinstance(found, EllipticCurvePrivateKey)
    return found
