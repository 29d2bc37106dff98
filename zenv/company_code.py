"""The company code: how a client finds a provider and knows that it is the right one. An address, not a secret.

    zfn:HOST:PORT/COMPANY/PIN

COMPANY is the provider's ledger, PIN the SHA-256 of its public key in 52 base32 letters, or `public` where a public
authority vouches for it (behind a proxy).
"""

from __future__ import annotations

import re
from base64 import b32encode
from dataclasses import dataclass
from hashlib import sha256

from zenv.errors import BadInput

PUBLIC = "public"

_HOST = r"(?:\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)"
_ADDRESS = re.compile(rf"(?P<host>{_HOST}):(?P<port>[0-9]{{1,5}})")
_CODE = re.compile(
    rf"zfn:(?P<address>{_HOST}:[0-9]{{1,5}})/(?P<company>[a-z0-9._-]{{1,64}})/(?P<pin>public|[a-z2-7]{{52}})"
)
_FORM = "A code looks like zfn:HOST:PORT/COMPANY/PIN: copy the whole line that `zenv zfn invite` prints there."


@dataclass(frozen=True)
class CompanyCode:
    """Where a provider is (`address` is HOST:PORT), which company it is, and by which key it is known."""

    address: str
    company: str
    pin: str

    def __str__(self) -> str:
        return f"zfn:{self.address}/{self.company}/{self.pin}"


def read_code(text: str) -> CompanyCode:
    """The code in `text`, large and small letters alike. Raises BadInput."""
    found = _CODE.fullmatch(text.strip().lower())
    if found is None:
        raise BadInput("That is no company code.", _FORM)
    return CompanyCode(read_address(found["address"]), found["company"], found["pin"])


def read_address(text: str) -> str:
    """HOST:PORT as it is written in a code; an IPv6 address stands in brackets. Raises BadInput."""
    found = _ADDRESS.fullmatch(text.strip().lower())
    if found is None or not 0 < int(found["port"]) <= 65_535:
        raise BadInput("That is no address.", "Give HOST:PORT, such as zfn.example.com:8470 or [2001:db8::1]:8470")
    return f"{found['host']}:{int(found['port'])}"


def host_of(address: str) -> str:
    """The host of HOST:PORT, without the brackets of an IPv6 address."""
    return address.rpartition(":")[0].strip("[]")


def company_of(ledger_id: str) -> str:
    """A ledger's id in the short spelling of a code."""
    try:
        number = bytes.fromhex(ledger_id)
    except ValueError:
        return ledger_id.lower()
    return _letters(number) if len(number) == 16 else ledger_id.lower()


def pin_of(public_key: bytes) -> str:
    """The pin of a public key, given as its DER SubjectPublicKeyInfo."""
    return _letters(sha256(public_key).digest())


def fingerprint(code: CompanyCode, client_company_id: str, secret: str) -> str:
    """20 digits that both sides of a request show, so that two people can compare them on the telephone."""
    said = "\n".join((code.company, code.pin, client_company_id, secret))
    digits = f"{int.from_bytes(sha256(said.encode()).digest()) % 10**20:020}"
    return " ".join(digits[start : start + 5] for start in range(0, 20, 5))


def _letters(number: bytes) -> str:
    return b32encode(number).decode().rstrip("=").lower()
