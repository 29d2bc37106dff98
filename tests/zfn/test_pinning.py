"""Nobody but the holder of the key that the company code names is sent anything."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from zenv.company_code import CompanyCode, pin_of
from zenv.connectors.zfn import pinning
from zenv.errors import Refused, Unreachable

Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def pin(key: Key) -> str:
    return pin_of(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def context_for(key: Key, folder: Path, name: str = "elsewhere.example") -> ssl.SSLContext:
    """A server's TLS with a certificate of this key, self-signed, for a name that is not where it is."""
    who, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    made = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number(), now - timedelta(days=1),
                                   now + timedelta(days=1)).sign(key, hashes.SHA256())  # fmt: skip
    file = folder / f"{made.serial_number}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


class Listener:
    """A server that takes handshakes with the next of these contexts (the last one for ever), and keeps what was said
    to it inside TLS."""

    def __init__(self, *contexts: ssl.SSLContext) -> None:
        self.contexts = list(contexts)
        self.heard = b""
        self.failed = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                plain, _ = self.socket.accept()
            except OSError:
                return
            context = self.contexts.pop(0) if len(self.contexts) > 1 else self.contexts[0]
            try:
                with context.wrap_socket(plain, server_side=True) as spoken:
                    spoken.settimeout(5)
                    while said := spoken.recv(65536):
                        self.heard += said
                        spoken.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            except OSError:
                self.failed += 1


@contextmanager
def listening(*contexts: ssl.SSLContext) -> Iterator[Listener]:
    listener = Listener(*contexts)
    thread = threading.Thread(target=listener.serve, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        listener.socket.shutdown(socket.SHUT_RDWR)
        listener.socket.close()
        thread.join(10)


def code(listener: Listener, key: Key) -> CompanyCode:
    return CompanyCode(listener.address, "company", pin(key))


def fails_in_the_handshake(at: CompanyCode) -> None:
    """A request with a token in it, to whoever is there."""
    with pinning.client_for(at, "p") as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        client.get(f"https://{at.address}/", headers={"authorization": "Bearer secret"})


def test_the_holder_of_the_key_is_spoken_to_whatever_name_its_certificate_bears(tmp_path: Path) -> None:
    key = new_key()
    with listening(context_for(key, tmp_path)) as listener, pinning.client_for(code(listener, key), "p") as client:
        answer = client.get(f"https://{listener.address}/", headers={"authorization": "Bearer secret"})
        assert answer.status_code == 200 and b"Bearer secret" in listener.heard


def test_a_renewed_certificate_of_the_same_key_goes_through(tmp_path: Path) -> None:
    key = new_key()
    for _ in range(2):
        with listening(context_for(key, tmp_path)) as listener, pinning.client_for(code(listener, key), "p") as client:
            assert client.get(f"https://{listener.address}/").status_code == 200


def test_another_key_than_the_codes_is_refused_and_is_sent_no_byte(tmp_path: Path) -> None:
    with listening(context_for(new_key(), tmp_path)) as listener, pytest.raises(Refused, match="nothing was sent"):
        pinning.client_for(code(listener, new_key()), "p")
    assert listener.heard == b""


def test_a_server_that_takes_the_place_of_the_right_one_fails_in_the_handshake(tmp_path: Path) -> None:
    """It is there only after the certificate was fetched: no request and no token reaches it."""
    key = new_key()
    with listening(context_for(key, tmp_path), context_for(new_key(), tmp_path)) as listener:
        fails_in_the_handshake(code(listener, key))
    assert listener.heard == b"" and listener.failed


def test_a_certificate_that_the_pinned_key_did_not_show_is_not_trusted_though_it_names_the_same_host(
    tmp_path: Path,
) -> None:
    key = new_key()
    right, wrong = (context_for(one, tmp_path, "127.0.0.1") for one in (key, new_key()))
    with listening(right, wrong) as listener:
        fails_in_the_handshake(code(listener, key))
    assert listener.heard == b""


def test_nobody_there_and_somebody_without_tls_are_out_of_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
    with pytest.raises(Unreachable):
        pinning.client_for(CompanyCode(address, "company", "a" * 52), "p")


def test_a_public_certificate_is_verified_as_any_other(tmp_path: Path) -> None:
    with listening(context_for(new_key(), tmp_path, "127.0.0.1")) as listener:
        fails_in_the_handshake(CompanyCode(listener.address, "company", "public"))
    assert listener.heard == b""
