"""Addresses of the network as people write them: HOST:PORT."""

from __future__ import annotations

import re
from typing import Any

#: This host, for itself alone.
LOOPBACK = "127.0.0.1"

_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]\s]*))(?::(\d{1,5}))?")


def split_address(text: str) -> tuple[str, int | None] | None:
    """Host and port of ``HOST:PORT``, ``HOST``, ``:PORT`` or ``[::1]:PORT``; None: it is no such.

    A host that is not named is empty, a port None.

    >>> split_address("[::1]:80"), split_address(":80"), split_address("there")
    (('::1', 80), ('', 80), ('there', None))
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not text:
        return None
    host, port = match[1] or match[2], None if match[3] is None else int(match[3])
    try:
        host.encode("idna")  # as `socket` will
    except UnicodeError:
        return None
    return None if port is not None and port > 0xFFFF else (host, port)


def name_of_address(address: tuple[Any, ...]) -> str:
    """What `split_address` reads.

    >>> name_of_address(("::1", 80, 0, 0))
    '[::1]:80'
    """
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def why_no_socket(error: OSError) -> str:
    """Why one cannot listen; Python adds the address, which whoever says it has said already.

    >>> why_no_socket(OSError(98, "Address already in use (while attempting to bind on ('::', 1))"))
    'Address already in use'
    """
    return (error.strerror or str(error)).partition(" (while attempting")[0]
