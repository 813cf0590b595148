"""The handshake: version, security, and what the screen is. Then a viewer may look.

Versions 3.3, 3.7 and 3.8, whatever the viewer says that it is. Security is None, or VncAuth where a
password is asked for. Not here: TLS and the rest; who looks over a network that others use does so
through ssh.

Source: RFC 6143, 7.1 to 7.3.
"""

from __future__ import annotations

import hmac
import re
import secrets
import struct
import time

from vgaemu.errors import ViewError
from vgaemu.view.des import vnc_response
from vgaemu.view.pixelformat import DEFAULT
from vgaemu.view.transport import Transport

#: Seconds for all of a viewer's part, in which people type a password.
HANDSHAKE_SECONDS = 60.0
#: Seconds for its first word, which no person has to say.
GREETING_SECONDS = 10.0
#: A wrong password is answered after so long (seconds), so that trying many takes its time.
REFUSAL_SECONDS = 1.0

BANNER = b"RFB 003.008\n"
_BANNER = re.compile(rb"RFB (\d{3})\.(\d{3})\n")
NONE, VNC_AUTH = 1, 2
_OK, _FAILED = b"\0\0\0\0", b"\0\0\0\1"
CHALLENGE_BYTES = 16


class _Handshake:
    def __init__(self, transport: Transport, password: bytes | None) -> None:
        self._transport = transport
        self._password = None if transport.is_trusted else password
        self._until = time.monotonic() + HANDSHAKE_SECONDS

    def _read(self, count: int) -> bytes:
        return self._transport.read_exactly(count, max(self._until - time.monotonic(), 0.1))

    def run(self) -> None:
        """As `shake_hands`."""
        minor = self._version()
        wanted = NONE if self._password is None else VNC_AUTH
        if minor == 3:
            self._transport.send(struct.pack(">I", wanted))
        else:
            self._transport.send(bytes((1, wanted)))
            (chosen,) = self._read(1)
            if chosen != wanted:
                self._refuse(minor, f"chose security {chosen}, which was not offered")
        if self._password is not None:
            challenge = secrets.token_bytes(CHALLENGE_BYTES)
            self._transport.send(challenge)
            answer = self._read(CHALLENGE_BYTES)
            if not hmac.compare_digest(answer, vnc_response(self._password, challenge)):
                time.sleep(REFUSAL_SECONDS)
                self._refuse(minor, "has the wrong password")
        if self._password is not None or minor >= 8:
            self._transport.send(_OK)
        self._read(1)  # whether others may look too: that is not for a viewer to say

    def _version(self) -> int:
        """What both speak: 3, 7 or 8."""
        self._transport.send(BANNER)
        said = self._transport.read_exactly(len(BANNER), GREETING_SECONDS)
        spoken = _BANNER.fullmatch(said)
        if spoken is None:
            raise ViewError(f"said {said!r}, which is not RFB")
        version = int(spoken[1]), int(spoken[2])
        return 3 if version < (3, 7) else 7 if version == (3, 7) else 8

    def _refuse(self, minor: int, why: str) -> None:
        reason = f"vgaemu: this viewer {why}".encode()
        told = len(reason).to_bytes(4, "big") + reason if minor >= 8 else b""
        self._transport.send(_FAILED + told)
        raise ViewError(why)


def shake_hands(transport: Transport, password: bytes | None) -> None:
    """Agree with a viewer, up to where it waits for `server_init`.

    Args:
        transport: The viewer; one that is trusted is asked for no password.
        password: What it must know, or None.

    Raises:
        ViewError: It is no viewer, or may not look.
        Gone: It has gone.
    """
    _Handshake(transport, password).run()


def server_init(width: int, height: int, name: str) -> bytes:
    """What ends the handshake: size, pixels, and a title for the viewer's window."""
    title = name.encode()
    size = struct.pack(">HH", width, height)
    return size + DEFAULT.pack() + len(title).to_bytes(4, "big") + title
