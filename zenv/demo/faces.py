"""The face of a provider on real HTTPS, in a thread of this process, that can go away and come back."""

from __future__ import annotations

import socket
import threading

from zenv.ledger.book import Book
from zenv.server import serving

BEGINS_S = 20


class Face:
    """A provider's face on a free port of loopback: `address` is known before it is served."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self._port = int(self._listener.getsockname()[1])
        self._server: serving.Server | None = None
        self._thread = threading.Thread()

    @property
    def address(self) -> str:
        """HOST:PORT, as the company code has it."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Serve, from when it comes back."""
        listener = self._listener or socket.create_server(("127.0.0.1", self._port))
        listening = threading.Event()
        self._server = serving.Server(serving.configured(self._book, serving.Where(self.address)), listening.set)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="provider", daemon=True)
        self._thread.start()
        listening.wait(BEGINS_S)
        self._listener = None  # the server closes it

    def stop(self) -> None:
        """Go away."""
        if self._server is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = None
        if self._listener is not None:
            self._listener.close()
