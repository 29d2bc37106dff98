"""`zenv serve` as a process: it says where it listens, speaks TLS with the pinned key, refuses to be plain where others
could listen, and ends when told to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.cli_driver import ROOT, Zenv, a_shop, an_empty_home  # noqa: F401  # the fixtures shop and zenv
from tests.daemons import CEILING_S, Supervisor
from tests.test_units import SETTINGS, analyze, needs_analyze, verified
from tests.zfn.companies import request
from tests.zfn.faces import free_port
from zenv import units
from zenv.company_code import CompanyCode, read_code
from zenv.connectors.zfn.pinning import certificate_at, client_for, key_in, pin_of
from zenv.server import serving


@pytest.fixture(name="mugs")
def a_provider(shop: Zenv) -> Zenv:
    """The books of a provider."""
    for words in (("plan", "enterprise"), ("enable",), ("grant",)):
        shop.good("zfn", *words)
    return shop


class Served:
    """A running `zenv serve`."""

    def __init__(self, home: Path, *words: str, **environment: str) -> None:
        self.log = home.parent / "serve.log"
        env = {**os.environ, "ZENV_HOME": str(home), "PYTHONUNBUFFERED": "1", **environment}
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "zenv", "serve", *words]
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(CEILING_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def served(mugs: Zenv) -> Iterator[tuple[Zenv, Served, CompanyCode]]:
    """A provider whose face is served on the address that its code names."""
    address = f"127.0.0.1:{free_port()}"
    mugs.good("zfn", "settings", "--address", address)
    face = Served(mugs.home, "--listen", address)
    yield mugs, face, read_code(mugs.good("zfn", "invite").out)
    if face.process.poll() is None:
        face.end(signal.SIGKILL)


def test_it_says_where_it_listens_and_the_code_and_ends_when_told_to(
    served: tuple[Zenv, Served, CompanyCode],
) -> None:
    _, face, code = served
    assert face.line == f"listening on {code.address}; company code {code}\n"
    with client_for(code, "Mugs") as http:
        assert http.get(f"https://{code.address}/zfn/1/company/{code.company}").json() == {"company": "Mugs GmbH"}
    assert face.end() == 0
    log = face.log.read_text()
    assert re.search(r"level=info request method=GET route=/zfn/1/company/\{company\} status=200 client=-", log)
    assert "event=stopped" in log and code.company not in log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_connection_that_is_kept_open_does_not_keep_it_from_ending(
    served: tuple[Zenv, Served, CompanyCode], number: int
) -> None:
    _, face, code = served
    with client_for(code, "Mugs") as http:
        http.get(f"https://{code.address}/zfn/1/link")
        assert face.end(number) == 0


def test_the_private_key_never_lies_on_the_disk_in_clear_and_the_pin_is_its_own(
    served: tuple[Zenv, Served, CompanyCode],
) -> None:
    mugs, face, code = served
    assert pin_of(key_in(certificate_at(code.address, "Mugs"), "Mugs")) == code.pin
    assert face.end() == 0
    for file in mugs.home.rglob("*"):
        assert not file.is_file() or b"PRIVATE KEY" not in file.read_bytes()
    assert not list(mugs.home.glob(".tls-*"))


def test_what_a_caller_says_stands_in_no_log(served: tuple[Zenv, Served, CompanyCode]) -> None:
    mugs, face, code = served
    said = request()
    with client_for(code, "Mugs") as http:
        body = said.model_dump(mode="json") | {"company_name": "Marker Nameson Ltd"}
        assert http.post(f"https://{code.address}/zfn/1/requests", json=body).status_code == 202
        http.get(f"https://{code.address}/zfn/1/link?Marker=1", headers={"authorization": f"Bearer {said.secret}"})
    assert [row["company"] for row in mugs.good("zfn", "requests").rows] == ["Marker Nameson Ltd"]
    assert face.end() == 0
    assert "Marker" not in face.log.read_text() and said.secret not in face.log.read_text()


def test_a_proxy_on_this_machine_gets_plain_http_on_a_unix_socket(mugs: Zenv, tmp_path: Path) -> None:
    mugs.good("zfn", "settings", "--address", "zfn.example.com:443", "--certificates", "public")
    path = Path(f"/tmp/zenv-serve-{os.getpid()}.sock")
    face = Served(mugs.home, "--unix", str(path))
    code = read_code(mugs.good("zfn", "invite").out)
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://proxy") as http:
            assert http.get(f"/zfn/1/company/{code.company}").status_code == 200
    finally:
        assert face.end() == 0
    assert code.pin == "public" and not path.exists()


@pytest.mark.parametrize(("settings", "words", "sentence"), [
    ("public", ("--behind-proxy", "127.0.0.1", "--listen", "0.0.0.0:8470"), "loopback or a Unix socket only"),
    ("public", ("--behind-proxy", "127.0.0.1", "--listen", "192.0.2.1:8470"), "loopback or a Unix socket only"),
    ("public", (), "promises a public certificate"),
    ("own", ("--behind-proxy", "127.0.0.1"), "promises our own certificate"),
    ("own", ("--unix", "/tmp/x.sock"), "promises our own certificate"),
])  # fmt: skip
def test_plain_http_beyond_loopback_and_what_the_code_does_not_promise_is_refused(
    mugs: Zenv, settings: str, words: tuple[str, ...], sentence: str
) -> None:
    mugs.good("zfn", "settings", "--certificates", settings)
    answer = mugs("serve", *words)
    assert answer.code == 79 and sentence in answer.err


def test_Z3_who_is_no_provider_cannot_serve_nor_install_it(shop: Zenv) -> None:
    for words in (("serve",), ("serve", "install", "--user")):
        answer = shop(*words)
        assert answer.code == 79 and "is no provider" in answer.err and "Ask " in answer.err


@pytest.mark.parametrize("words", [("--listen", "nonsense"), ("--behind-proxy", "nonsense")])
def test_an_address_that_is_none_is_refused(mugs: Zenv, words: tuple[str, ...]) -> None:
    assert mugs("serve", *words).code == 65


def test_a_port_that_is_taken_is_named(mugs: Zenv) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = mugs("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert answer.code == 75 and "cannot be listened on" in answer.err


def test_systemd_is_told_when_it_listens(mugs: Zenv, tmp_path: Path) -> None:
    supervisor = Supervisor(str(tmp_path))
    try:
        face = Served(mugs.home, "--listen", f"127.0.0.1:{free_port()}", NOTIFY_SOCKET=supervisor.address)
        supervisor.wait("READY=1")
        assert face.end() == 0
        supervisor.wait("STOPPING=1")
    finally:
        supervisor.close()


# ---- the unit --------------------------------------------------------------------------------------------


@needs_analyze
@pytest.mark.parametrize("name", list(SETTINGS))
def test_systemd_finds_nothing_wrong_with_the_unit_and_calls_it_hardened(tmp_path: Path, name: str) -> None:
    setting = SETTINGS[name]
    texts = units.face(setting, "0.0.0.0:8470")
    assert verified(tmp_path, texts, setting.system) == ""
    path = str(tmp_path / units.FACE)
    done = analyze(tmp_path, setting.system, "security", "--offline=true", "--threshold=15", path)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_install_writes_the_unit_and_says_what_is_next(
    mugs: Zenv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    steps = mugs.good("serve", "install", "--user", "--listen", "0.0.0.0:8470").rows
    (path,) = [row["what"] for row in steps if row["step"] == "wrote"]
    assert Path(path).name == "zenv-serve.service"
    assert "serve --listen 0.0.0.0:8470" in Path(path).read_text()
    assert f"systemctl --user enable --now {units.FACE}" in [row["what"] for row in steps]


def test_who_does_not_say_what_it_wants_is_hung_up_on(mugs: Zenv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEADERS_S", 0.2)
    from tests.zfn.faces import served as in_a_thread
    from zenv.ledger.book import open_book

    with open_book(mugs.home, "tester") as book, in_a_thread(book) as face:
        context = ssl._create_unverified_context()
        with (
            socket.create_connection(("127.0.0.1", face.port), timeout=CEILING_S) as raw,
            context.wrap_socket(raw) as slow,
        ):
            slow.sendall(b"GET /zfn/1/link HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            with suppress(ConnectionError, ssl.SSLError):
                assert slow.recv(100) == b"", "the other side has closed"


def test_invite_is_bare_in_a_pipe_and_json_on_request(served: tuple[Zenv, Served, CompanyCode]) -> None:
    mugs, _, code = served
    assert mugs.good("zfn", "invite").out == f"{code}\n"
    assert json.loads(mugs.good("--json", "zfn", "invite").out)["data"]["code"] == str(code)
