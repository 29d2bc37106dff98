"""Whom we speak to: the server that holds the key which the company code names, and nobody else.

The certificate is fetched in a handshake over which no request is sent. Its key is compared with the pin, and only then
is there a client, which trusts that one certificate: another server in its place fails in the handshake of each
request, before any byte of a request or a token has left.
"""

from __future__ import annotations

import hmac
import socket
import ssl

import httpx

from zenv.company_code import PUBLIC, CompanyCode, host_of, pin_of
from zenv.connectors.http import new_client, unreachable
from zenv.errors import BadReply, Refused

PATIENCE_S = 10.0


def client_for(code: CompanyCode, remote: str) -> httpx.Client:
    """An HTTP client that speaks to this provider alone. Raises Unreachable, and Refused for another key than the
    code's."""
    if code.pin == PUBLIC:
        return new_client()
    certificate = certificate_at(code.address, remote)
    if not hmac.compare_digest(pin_of(key_in(certificate, remote)), code.pin):
        raise Refused(
            f"The server at {code.address} does not hold the key that the company code of {remote} names; nothing was "
            "sent to it.",
            "Ask the provider for its company code anew, by another way than the last time.",
        )
    return new_client(verify=_trusting(certificate))


def certificate_at(address: str, remote: str) -> bytes:
    """The certificate (DER) that a server shows. Nothing is verified yet, and so nothing is sent but the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = host_of(address), int(address.rpartition(":")[2])
    try:
        with (
            socket.create_connection((host, port), timeout=PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as shown,
        ):
            return shown.getpeercert(binary_form=True) or b""
    except OSError as cause:  # ssl.SSLError and time-outs are of this kind, too
        raise unreachable(remote, "handshake", type(cause).__name__) from None


def key_in(certificate: bytes, remote: str) -> bytes:
    """The public key of a certificate: its SubjectPublicKeyInfo (DER)."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError:
        raise BadReply(f"{remote} shows a certificate that cannot be read; nothing was sent to it.") from None


def _trusting(certificate: bytes) -> ssl.SSLContext:
    """TLS with the holder of this certificate, whatever name it bears: the code names a key, which may move to another
    address or be reached through a tunnel; a name would prove less than the key does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    # The certificate itself is the anchor, also where some authority has signed it.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=certificate)
    return context
