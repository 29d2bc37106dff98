"""Documents at addresses a remote hands out: read as a stream, unpacked, bounded, or put there in one piece.

Such an address is a credential for some minutes: it is never logged, and no error repeats it.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from zenv.connectors.hosts import checked_address, is_loopback
from zenv.connectors.http import ATTEMPTS, Wire, note_call, unreachable
from zenv.errors import BadReply, Unreachable

PIECE = 2**20
"""Bytes that are unpacked at a time, so that a small packed chunk cannot fill the memory."""


@dataclass(frozen=True)
class Document:
    """A document being read: its bytes come as they arrive, already unpacked."""

    content_type: str
    chunks: Iterator[bytes]


class _TooLong(Exception):
    """The document is longer than it can honestly be."""


@contextmanager
def download(wire: Wire, name: str, url: str, *, most: int) -> Iterator[Document]:
    """Read a document of at most `most` bytes once unpacked.

    Raises Unreachable when the transfer fails or breaks off (ask for a new address), BadReply when the
    document is too long.
    """
    address = checked_address(url, loopback=is_loopback(wire.base))
    begun, status = time.monotonic(), 0
    try:
        with wire.client.stream("GET", address) as response:
            status = response.status_code
            if status != 200:
                raise unreachable(wire.remote, name, f"status {status}")
            content_type = response.headers.get("content-type", "")
            yield Document(content_type, unpacked(response.iter_raw(), most))
    except (httpx.HTTPError, httpx.StreamError, zlib.error, EOFError) as cause:
        raise unreachable(wire.remote, name, type(cause).__name__) from None
    except _TooLong:
        raise BadReply(f"{wire.remote} sent a document of more than {most} bytes for {name}.") from None
    finally:
        note_call(name, status, "", begun, 1)


def upload(wire: Wire, name: str, url: str, content: bytes, content_type: str) -> None:
    """Put a document at its address; an upload alone has no effect, so it is tried again. Raises
    Unreachable."""
    address = checked_address(url, loopback=is_loopback(wire.base))
    for tries in range(1, ATTEMPTS + 1):
        try:
            return _put(wire, name, address, content, content_type, tries)
        except Unreachable:
            if tries == ATTEMPTS:
                raise
            wire.back_off(tries)


def _put(wire: Wire, name: str, address: str, content: bytes, content_type: str, attempt: int) -> None:
    begun, status = time.monotonic(), 0
    try:
        response = wire.client.put(address, content=content, headers={"content-type": content_type})
        status = response.status_code
    except httpx.HTTPError as cause:
        raise unreachable(wire.remote, name, type(cause).__name__) from None
    finally:
        note_call(name, status, "", begun, attempt)
    if not 200 <= status < 300:
        raise unreachable(wire.remote, name, f"status {status}")


def unpacked(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The chunks, with gzip undone where the bytes are gzip: the magic number is surer than any header."""
    size, unpack = 0, None
    for index, chunk in enumerate(chunks):
        if index == 0 and chunk[:2] == b"\x1f\x8b":
            unpack = zlib.decompressobj(31)
        for piece in _pieces(unpack, chunk) if unpack else (chunk,):
            size += len(piece)
            if size > most:
                raise _TooLong
            yield piece
    if unpack and not unpack.eof:
        raise EOFError


def _pieces(unpack: zlib._Decompress, chunk: bytes) -> Iterator[bytes]:
    while chunk:
        yield unpack.decompress(chunk, PIECE)
        chunk = unpack.unconsumed_tail
