"""What the port of a view answers a browser: our page, noVNC's files, and who may open a socket.

Only decisions: an address and headers come in, an `Answer` or a `Socket` goes out; no connection is
read here. Of a web server there is what one page needs: no ranges, no caching, a connection an
answer. Whoever has the token of the address may look; a page of another site may not (its
`Origin`), nor one whose site's name was made to resolve to this machine (its `Host`).

Source: RFC 9110 (HTTP), RFC 6454 (origins), RFC 6455, section 10.2.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from vgaemu.errors import ViewError

#: Where Debian's package has noVNC.
DEBIAN_NOVNC = Path("/usr/share/novnc")
#: A larger file in noVNC's folder is none of its own.
MAX_FILE_BYTES = 8 << 20
#: What a file is, by its suffix; others are not served.
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8", ".json": "application/json", ".mp3": "audio/mpeg",
    ".oga": "audio/ogg", ".png": "image/png", ".svg": "image/svg+xml", ".ttf": "font/ttf",
    ".woff": "font/woff", ".woff2": "font/woff2",
}  # fmt: skip
#: What is said of everything: it is kept nowhere, is what it says it is, and for this site alone.
ALWAYS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
#: Our page runs and loads nothing but what this port serves, and stands in no other page.
OUR_PAGE = "default-src 'none'; " + "; ".join(
    f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")
)
NO_FRAMES = "frame-ancestors 'none'"


class Socket(Enum):
    """What a browser may open a WebSocket for, by its path."""

    #: Our page: RFB in binary messages, and in text ones what `vgaemu.view.live` tells.
    LIVE = "/live"
    #: RFB and nothing else, where noVNC looks for it.
    RFB = "/websockify"


@dataclass(frozen=True)
class Answer:
    """What a browser gets that opens no socket."""

    status: HTTPStatus
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    #: Further headers.
    more: tuple[tuple[str, str], ...] = ()

    @property
    def is_page(self) -> bool:
        """Whether a browser shows it, and goes on to load what belongs to it."""
        return self.status is HTTPStatus.OK and self.media_type == MEDIA_TYPES[".html"]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All of them."""
        own = [("Content-Type", self.media_type), ("Content-Length", str(len(self.body)))]
        return [*own, ("Connection", "close"), *ALWAYS, *self.more]


def said(status: HTTPStatus, text: str) -> Answer:
    """A line for whoever reads it."""
    return Answer(status, f"{text}\n".encode())


class Door:
    """Who gets what at one port.

    Args:
        token: What an address must have; if empty, `process_token`.
        hosts: Names of this machine, besides its host name, that a browser may call it by.
        novnc: The folder with noVNC's files; None: Debian's, if it is installed.

    Raises:
        ViewError: The folder has no noVNC.
    """

    def __init__(
        self, token: str = "", *, hosts: Iterable[str] = (), novnc: str | Path | None = None
    ) -> None:
        self.token = token or process_token()
        self._hosts = {"localhost", socket.gethostname().lower(), *map(str.lower, hosts)}
        self._novnc = novnc_folder(novnc)
        #: The files of the page, which are few and small: nothing else is found under its address.
        self._page = {
            file.name: file.read_bytes()
            for file in (files("vgaemu.view") / "page").iterdir()
            if Path(file.name).suffix in MEDIA_TYPES
        }

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> Answer | Socket:
        """What somebody gets.

        Args:
            method: ``GET``; else it is refused.
            target: What stands after it: a path and perhaps a query.
            headers: Their values by name, in lower case.
        """
        if method != "GET":
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, more=(("Allow", "GET"),))
        host = headers.get("host", "")
        if not self._is_ours(host):
            return said(HTTPStatus.FORBIDDEN, "call this machine by its address, or as localhost")
        try:
            split = urlsplit(target)
            path, query = unquote(split.path, errors="strict"), parse_qs(split.query)
        except ValueError:
            return said(HTTPStatus.BAD_REQUEST, "there is no such address")
        knows_token = self._is_token(query.get("token", [""])[0])
        for kind in Socket:
            if path == kind.value:
                return self._open(kind, headers, knows_token)
        return self._file(path, knows_token)

    def _open(self, kind: Socket, headers: Mapping[str, str], knows_token: bool) -> Answer | Socket:
        origin = headers.get("origin")
        if origin is not None and not _same_site(origin, headers["host"]):
            return said(HTTPStatus.FORBIDDEN, "a page of another site may not look")
        return kind if knows_token else _no_token()

    def _file(self, path: str, knows_token: bool) -> Answer:
        folder, _, name = path[1:].partition("/")
        if path == "/":
            return self._index() if knows_token else _no_token()
        if self._novnc is not None and folder == "novnc":
            if not name:
                return self._to_novnc() if knows_token else _no_token()
            return _file_below(self._novnc, name)
        if not self._is_token(folder):
            return _no_token()
        if name not in self._page:
            return said(HTTPStatus.NOT_FOUND, "there is no such file")
        return Answer(HTTPStatus.OK, self._page[name], MEDIA_TYPES[Path(name).suffix])

    def _index(self) -> Answer:
        """Our page: what it loads lies below the token, so that plain relative imports have it."""
        html = self._page["index.html"].replace(b"@TOKEN@", self.token.encode())
        return Answer(HTTPStatus.OK, html, MEDIA_TYPES[".html"], _policy(OUR_PAGE, NO_FRAMES))

    def _to_novnc(self) -> Answer:
        """To noVNC's page, told which socket to open, and with what token."""
        opened = quote(f"{Socket.RFB.value[1:]}?token={self.token}", safe="")
        place = f"/novnc/vnc.html?autoconnect=true&resize=scale&path={opened}"
        return Answer(HTTPStatus.FOUND, more=(("Location", place),))

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _is_ours(self, host: str) -> bool:
        """Whether a `Host` names this machine; an address is nobody's name, and so always does."""
        name = _without_port(host).lower()
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name in self._hosts or name.endswith(".localhost")
        return True


@cache
def process_token() -> str:
    """128 random bits, the same in all of a run: a page finds a server that was opened again."""
    return secrets.token_urlsafe(16)


def _no_token() -> Answer:
    return said(HTTPStatus.FORBIDDEN, "open the address that vgaemu printed, with its token")


def _without_port(host: str) -> str:
    """Of ``NAME:PORT`` or ``[ADDRESS]:PORT``."""
    name, colon, port = host.rpartition(":")
    return name if colon and (port.isdecimal() or not port) and "]" not in port else host


def _same_site(origin: str, host: str) -> bool:
    """Whether a page comes from the very host and port that it asks now.

    >>> _same_site("http://127.0.0.1:5900", "127.0.0.1:5900"), _same_site("null", "localhost:5900")
    (True, False)
    """
    return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())


def novnc_folder(named: str | Path | None) -> Path | None:
    """The folder with noVNC's files: the one that is named, or Debian's, if it is there.

    Raises:
        ViewError: The one that is named has none.
    """
    folder = DEBIAN_NOVNC if named is None else Path(named)
    if (folder / "core" / "rfb.js").is_file():
        return folder.resolve()
    if named is None:
        return None
    raise ViewError(f"{named}: no noVNC is there (core/rfb.js); name the folder that has it")


def _file_below(folder: Path, name: str) -> Answer:
    """A file of noVNC's; what lies outside of its folder, by dots or by links, there is not."""
    media_type = MEDIA_TYPES.get(Path(name).suffix)
    nothing = said(HTTPStatus.NOT_FOUND, "there is no such file")
    try:
        path = (folder / name).resolve()
        if media_type is None or not path.is_relative_to(folder) or not path.is_file():
            return nothing
        if path.stat().st_size > MAX_FILE_BYTES:
            return nothing
        return Answer(HTTPStatus.OK, path.read_bytes(), media_type, _policy(NO_FRAMES))
    except (OSError, ValueError):  # unreadable; a NUL, or a name that is too long
        return nothing


def _policy(*rules: str) -> tuple[tuple[str, str], ...]:
    return (("Content-Security-Policy", "; ".join(rules)),)
