"""Browsers at the port of a view: what they get, what they may not, and what they see."""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from vgaemu.cli.main import main
from vgaemu.display.report import ScreenInfo
from vgaemu.errors import ViewError
from vgaemu.machine import Machine
from vgaemu.view import browser, websocket
from vgaemu.view.browser import INSTALL, Browsers
from vgaemu.view.http import Answer, Door, Socket
from vgaemu.view.live import Live, Message
from vgaemu.view.transport import Gone, Stalled, TcpTransport
from vgaemu.view.websocket import WebSocketTransport

TOKEN = "a-token"
HOST = {"host": "127.0.0.1:5900"}
HANG_SECONDS = 10.0
HERE = socket.gethostname()
OK, FORBIDDEN, NOT_FOUND = HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND


@pytest.fixture
def novnc(tmp_path: Path) -> Path:
    """A folder like noVNC's, beside what is nobody's business."""
    folder = tmp_path / "novnc"
    (folder / "core").mkdir(parents=True)
    (folder / "core" / "rfb.js").write_text("export default class RFB {}")
    (folder / "vnc.html").write_text("<p>noVNC")
    (folder / "notes.txt").write_text("not of a kind that is served")
    (tmp_path / "secret.js").write_text("secret")
    (folder / "link.js").symlink_to(tmp_path / "secret.js")
    (folder / "folder.js").mkdir()
    return folder


# What the door answers


def status(door: Door, target: str, headers: dict[str, str] = HOST) -> HTTPStatus | Socket:
    given = door.answer("GET", target, headers)
    return given.status if isinstance(given, Answer) else given


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"/?token={TOKEN}", OK),
        (f"/?x=1&token={TOKEN}", OK),
        ("/", FORBIDDEN),
        ("/?token=", FORBIDDEN),
        ("/?token=a-tokeN", FORBIDDEN),
        ("/?token=%ff%00", FORBIDDEN),
        ("/?token=é", FORBIDDEN),
        (f"/{TOKEN}/page.js", OK),
        (f"/{TOKEN}/page.css", OK),
        (f"/{TOKEN}/index.html", OK),
        (f"/{TOKEN}/../http.py", NOT_FOUND),
        (f"/{TOKEN}/%2e%2e/http.py", NOT_FOUND),
        (f"/{TOKEN}//etc/passwd", NOT_FOUND),
        (f"/{TOKEN}/", NOT_FOUND),
        ("/page.js", FORBIDDEN),
        ("//page.js", FORBIDDEN),
        ("/other/page.js", FORBIDDEN),
        ("/%ff", HTTPStatus.BAD_REQUEST),
        ("http://[::1", HTTPStatus.BAD_REQUEST),
        (f"/live?token={TOKEN}", Socket.LIVE),
        (f"/websockify?token={TOKEN}", Socket.RFB),
        ("/live", FORBIDDEN),
        ("/websockify?token=other", FORBIDDEN),
        ("/novnc/vnc.html", OK),
        ("/novnc/core/rfb.js", OK),
        ("/novnc/core/../vnc.html", OK),
        (f"/novnc/?token={TOKEN}", HTTPStatus.FOUND),
        ("/novnc/", FORBIDDEN),
        ("/novnc", FORBIDDEN),
        ("/novnc/none.js", NOT_FOUND),
        ("/novnc/folder.js", NOT_FOUND),
        ("/novnc/notes.txt", NOT_FOUND),
        ("/novnc/link.js", NOT_FOUND),
        ("/novnc/../secret.js", NOT_FOUND),
        ("/novnc/%2e%2e%2fsecret.js", NOT_FOUND),
        ("/novnc//etc/hostname.js", NOT_FOUND),
        ("/novnc/a%00b.js", NOT_FOUND),
        (f"/novnc/{'x' * 5000}.js", NOT_FOUND),
    ],
)
def test_what_an_address_gets(novnc: Path, target: str, expected: HTTPStatus | Socket) -> None:
    assert status(Door(TOKEN, novnc=novnc), target) == expected


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:5900", True), ("localhost:5900", True), ("LOCALHOST", True),
        ("[::1]:5900", True), ("192.168.1.7:5900", True), ("named.example:5900", True),
        ("vga.localhost:5900", True), (f"{socket.gethostname()}:5900", True),
        ("evil.example:5900", False), ("localhost.evil.example", False), ("", False),
        ("127.0.0.1.evil.example", False), ("localhost:5900, evil.example", False),
        ("127.0.0.1:59x", False),
    ],
)  # fmt: skip
def test_only_this_machine_is_meant(host: str, is_ours: bool) -> None:
    door = Door(TOKEN, hosts=["Named.example"])
    assert status(door, f"/?token={TOKEN}", {"host": host}) == (OK if is_ours else FORBIDDEN)


@pytest.mark.parametrize(
    ("origin", "may"),
    [
        (None, True), ("http://127.0.0.1:5900", True), ("https://127.0.0.1:5900", True),
        ("http://127.0.0.1:5901", False), ("http://127.0.0.1", False), ("null", False),
        ("http://evil.example", False), ("", False), ("http://127.0.0.1:5900, null", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", Socket)
def test_pages_of_others_open_no_socket(kind: Socket, origin: str | None, may: bool) -> None:
    headers = HOST if origin is None else HOST | {"origin": origin}
    given = status(Door(TOKEN), f"{kind.value}?token={TOKEN}", headers)
    assert given == (kind if may else FORBIDDEN)


def test_the_page_loads_only_what_is_here() -> None:
    door = Door(TOKEN)
    page = door.answer("GET", f"/?token={TOKEN}", HOST)
    assert isinstance(page, Answer)
    headers = dict(page.headers)
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert headers["Cache-Control"] == "no-store"
    assert b"@TOKEN@" not in page.body
    for link in (b"page.css", b"page.js", b"icon.svg"):
        assert f'"{TOKEN}/{link.decode()}"'.encode() in page.body


def test_tokens_are_of_a_run() -> None:
    assert Door().token == Door().token
    assert len(base64.urlsafe_b64decode(Door().token + "==")) == 16


def test_novnc_is_told_which_socket_to_open(novnc: Path) -> None:
    given = Door(TOKEN, novnc=novnc).answer("GET", f"/novnc/?token={TOKEN}", HOST)
    assert isinstance(given, Answer)
    assert dict(given.headers)["Location"].endswith(f"path=websockify%3Ftoken%3D{TOKEN}")


@pytest.mark.parametrize(
    ("host", "named"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("0.0.0.0", HERE), ("::", HERE), ("x", "x")],
)
def test_the_address_that_a_user_opens(host: str, named: str) -> None:
    browsers = Browsers(host)
    place = urlsplit(browsers.address(host, 5900))
    assert place.netloc == f"{named}:5900"
    assert status(browsers.door, f"{place.path}?{place.query}", {"host": place.netloc}) == OK


def test_a_folder_without_novnc(tmp_path: Path) -> None:
    with pytest.raises(ViewError, match=r"no noVNC is there \(core/rfb.js\)"):
        Door(novnc=tmp_path)


# What a connection gets


@contextmanager
def connection() -> Iterator[tuple[socket.socket, TcpTransport]]:
    """A browser's end, and ours; whoever waits at either for too long finds it closed."""
    theirs, ours = socket.socketpair()
    theirs.settimeout(HANG_SECONDS)
    transport = TcpTransport(ours, "peer:1", stall_seconds=HANG_SECONDS)
    hang = threading.Timer(HANG_SECONDS, transport.close)
    hang.start()
    try:
        with closing(theirs), closing(transport):
            yield theirs, transport
    finally:
        hang.cancel()


def request(target: str, *headers: str, method: str = "GET", host: str = HOST["host"]) -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", f"Host: {host}", *headers, "", "")).encode()


UPGRADE = (
    "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip


def frame(data: bytes, opcode: int = 2, *, fin: bool = True, masked: bool = True) -> bytes:
    """A message of a client, as RFC 6455 has it."""
    length = len(data)
    size = struct.pack(">BBQ", 0, 127, length)[1:] if length > 125 else bytes((length,))
    first = bytes((opcode | 0x80 * fin, size[0] | 0x80 * masked))
    if not masked:
        return first + size[1:] + data
    mask = b"\x5a\x81\x00\xff"
    masked_data = np.frombuffer(data, np.uint8) ^ np.resize(np.frombuffer(mask, np.uint8), length)
    return first + size[1:] + mask + masked_data.tobytes()


def answered(sent: bytes, door: Door) -> bytes:
    """What somebody gets who sends that and listens."""
    with connection() as (theirs, ours):
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        with suppress(Gone):  # what the library answered itself
            assert websocket.meet(ours, door.answer) is None
        return theirs.makefile("rb").read()


def test_a_page_over_a_connection() -> None:
    reply = answered(request(f"/?token={TOKEN}"), Door(TOKEN))
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (request("/", method="POST"), 405),
        (request("/", method="OPTIONS"), 405),
        (request("/"), 403),
        (request(f"/?token={TOKEN}", host="evil.example"), 403),
        (request(f"/?token={TOKEN}", "Host: evil.example"), 403),
        (request(f"/live?token={TOKEN}"), 426),
        (request(f"/live?token={TOKEN}", *UPGRADE[:2]), 400),
        (request(f"/live?token={TOKEN}", *UPGRADE[:3], "Sec-WebSocket-Key: short"), 400),
        (request(f"/live?token={TOKEN}", *UPGRADE, "Origin: http://evil.example"), 403),
        (request("/live?token=other", *UPGRADE), 403),
        (request("/" + 9000 * "x"), 414),
        (request("/", "X: " + 9000 * "x"), 431),
        (request("/", *(f"X-{i}: y" for i in range(200))), 431),
    ],
)  # fmt: skip
def test_who_is_refused(sent: bytes, code: int) -> None:
    assert answered(sent, Door(TOKEN)).startswith(f"HTTP/1.1 {code} ".encode())


@pytest.mark.parametrize(
    "sent",
    [
        b"GET\r\n\r\n", b"GET / RFB\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", b"\0" * 100000,
        b"GET / HTTP/1.1\r\nHost: loc",
        request("/") + b"\0" * 9,
        request(f"/live?token={TOKEN}", *UPGRADE) + frame(b"x"),
    ],
)  # fmt: skip
def test_what_is_no_request(sent: bytes) -> None:
    with connection() as (theirs, ours):
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(Gone, match=r"^peer:1: ") as refusal:
            websocket.meet(ours, Door(TOKEN).answer)
        assert "\n" not in str(refusal.value)


def test_a_request_comes_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "REQUEST_SECONDS", 0.05)
    with connection() as (theirs, ours):
        theirs.sendall(b"GET / HT")
        with pytest.raises(Stalled):
            websocket.meet(ours, Door(TOKEN).answer)


def test_an_answer_arrives_before_the_end() -> None:
    """More was sent than is read: the connection is not reset over it."""
    reply = answered(request("/", "X: " + 9000 * "x") + b"x" * 100000, Door(TOKEN))
    assert reply.endswith(b"\n")


def test_without_the_library(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "websockets"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "vgaemu.view.websocket")
    monkeypatch.delattr("vgaemu.view.websocket")
    browsers = Browsers()
    for _ in range(2):
        with connection() as (theirs, ours):
            theirs.sendall(request("/"))
            theirs.shutdown(socket.SHUT_WR)
            with browsers.meet(ours) as viewer:
                assert viewer is None
            reply = theirs.makefile("rb").read()
        assert reply.startswith(b"HTTP/1.1 501 ")
        assert reply.endswith(f"\r\n\r\n{INSTALL}\n".encode())
    assert [record.getMessage() for record in caplog.records] == [INSTALL]


def test_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(browser, "is_available", lambda: False)
    assert main(["run", "typing", "--headless", "--frames", "2", "--view", "0"]) == 0
    said = capsys.readouterr().out.splitlines()[0]
    assert re.fullmatch(rf"view: VNC at 127\.0\.0\.1:\d+, {re.escape(INSTALL)}", said)


def test_spare_connections_of_a_browser_are_told_from_viewers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browsers = Browsers()

    def ask(target: str) -> None:
        with connection() as (theirs, ours):
            theirs.sendall(request(target))
            theirs.shutdown(socket.SHUT_WR)
            with browsers.meet(ours):
                pass

    with connection() as (_, silent):
        assert not browsers.expects(silent)
        ask("/")  # refused: no page that loads anything
        assert not browsers.expects(silent)
        ask(f"/?token={browsers.door.token}")
        assert browsers.expects(silent)
        with monkeypatch.context() as patch:
            patch.setattr(browser, "KEPT_SECONDS", -1)
            assert not browsers.expects(silent)
        silent.peer = "another:1"
        assert not browsers.expects(silent)
    monkeypatch.setattr(browser, "SPARES_SECONDS", -1)
    with connection() as (_, later):
        assert not browsers.expects(later)
    for host in range(100):
        with connection() as (_, ours):
            ours.peer = f"{host}:1"
            browsers._answer(ours, "GET", f"/?token={browsers.door.token}", HOST)
    assert len(browsers._pages) == browser.MAX_HOSTS


def test_a_spare_connection_has_its_answer_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgaemu.view.server.SPEAKS_FIRST_SECONDS", 0.05)
    with Machine() as machine:
        server = machine.serve(port=0)
        where = ("127.0.0.1", server.port)
        token = server.browsers.door.token
        with (
            socket.create_connection(where, 10) as spare,
            socket.create_connection(where, 10) as page,
        ):
            page.sendall(request(f"/?token={token}"))
            assert page.recv(4096).startswith(b"HTTP/1.1 200 ")
            time.sleep(0.2)
            spare.sendall(request(f"/{token}/page.js"))
            assert spare.recv(4096).startswith(b"HTTP/1.1 200 ")
        monkeypatch.setattr(browser, "SPARES_SECONDS", 0)
        with socket.create_connection(where, 10) as viewer:
            assert viewer.recv(12) == b"RFB 003.008\n"


def test_slow_requests_keep_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    with Machine() as machine, ExitStack() as opened:
        server = machine.serve(port=0)
        where = ("127.0.0.1", server.port)
        for _ in range(30):
            opened.enter_context(socket.create_connection(where, 10)).sendall(b"GET /slow")
        page = opened.enter_context(socket.create_connection(where, 10))
        page.sendall(request(f"/?token={server.browsers.door.token}"))
        assert page.recv(4096).startswith(b"HTTP/1.1 200 ")
        machine.tick()
    assert not caplog.records


# What a WebSocket takes


@contextmanager
def opened() -> Iterator[tuple[socket.socket, WebSocketTransport]]:
    """A browser's end of a WebSocket that was just opened, and ours."""
    with connection() as (theirs, ours):
        theirs.sendall(request(f"/websockify?token={TOKEN}", *UPGRADE))
        met = websocket.meet(ours, Door(TOKEN).answer)
        assert met is not None
        assert met[1] is Socket.RFB
        assert theirs.recv(4096).startswith(b"HTTP/1.1 101 ")
        with closing(met[0]):
            yield theirs, met[0]


def test_messages_are_one_stream() -> None:
    with opened() as (theirs, ours):
        cut = frame(b"one ") + frame(b"") + frame(b"two ", fin=False) + frame(b"three", 0)
        for byte in cut:
            theirs.send(bytes((byte,)))
        assert ours.read_exactly(0) == b""
        assert ours.read_exactly(3) == b"one"
        assert ours.read_exactly(10) == b" two three"
        with pytest.raises(Stalled):
            ours.read_exactly(1, seconds=0.01)
        ours.send(b"four")
        assert theirs.recv(100) == b"\x82\x04four"
        assert ours.tell("five")
        assert theirs.recv(100) == b"\x81\x04five"


def test_pings_are_answered() -> None:
    with opened() as (theirs, ours):
        theirs.sendall(frame(b"are you there", 9) + frame(b"x"))
        assert ours.read_exactly(1) == b"x"
        assert theirs.recv(100) == b"\x8a\x0dare you there"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(b"not masked", masked=False), 1002),
        (frame(b"text", 1), 1003),
        (frame(b"opcode", 3), 1002),
        (frame(b"goes on from nothing", 0), 1002),
        (frame(b"x", fin=False) + frame(b"begins again"), 1002),
        (frame(b"reserved bits", 2 | 0x40), 1002),
        (frame(b"long control frame" * 10, 9), 1002),
        (frame(b"x", 9, fin=False), 1002),
        (struct.pack(">BBQ", 0x82, 0xFF, 1 << 62) + bytes(4), 1009),
        (struct.pack(">BBQ", 0x82, 0xFF, (1 << 64) - 1) + bytes(4), 1009),
        (struct.pack(">BBQ", 0x82, 0xFF, websocket.MAX_MESSAGE_BYTES + 1) + bytes(4), 1009),
        (frame(b"x" * 600_000, fin=False) + frame(b"x" * 600_000, 0, fin=False), 1009),
        (frame(b"", 8), 0),
        (frame(struct.pack(">H", 1001), 8), 1001),
        (frame(b"\0", 8), 1002),
    ],
)  # fmt: skip
def test_what_ends_a_websocket(sent: bytes, code: int) -> None:
    with opened() as (theirs, ours):
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        theirs.sendall(sent)
        with pytest.raises(Gone, match=r"^peer:1: ") as refusal:
            ours.read_exactly(1 << 21, seconds=HANG_SECONDS / 2)
        assert "\n" not in str(refusal.value)
        assert len(ours._unread) <= websocket.MAX_MESSAGE_BYTES
        goodbye = theirs.recv(4096)
        assert goodbye[:1] == b"\x88"
        assert goodbye[2:4] == (struct.pack(">H", code) if code else b"")
        with pytest.raises(Gone):
            ours.send(b"more")


def test_a_viewer_that_is_behind_misses_figures() -> None:
    with opened() as (theirs, ours):
        sent = 0
        while ours.tell("x" * 4000):
            sent += 1
            assert sent < 10_000
        assert theirs.recv(4) == b"\x81\x7e\x0f\xa0"


# What our page is told


class Hearer:
    """Who is told, as a list."""

    def __init__(self, *, gone: bool = False, behind: bool = False) -> None:
        self.looks_only = behind
        self.told: list[Message] = []
        self._gone, self._behind = gone, behind

    def tell(self, text: str) -> bool:
        if self._gone:
            raise Gone("gone")
        self.told.append(json.loads(text))
        return not self._behind


@contextmanager
def listening(machine: Machine, *hearers: Hearer) -> Iterator[Live]:
    server = machine.serve(port=0)
    live = server.browsers.live
    machine.tick()
    for hearer in hearers:
        live.join(hearer)
    yield live
    machine.remove_display(server)


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + HANG_SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("mode", [3, 0x13])
def test_figures_are_those_of_the_frames(mode: int) -> None:
    hearer, behind = Hearer(), Hearer(behind=True)
    with Machine(mode=mode) as machine, listening(machine, hearer, behind):
        wait_until(lambda: bool(hearer.told))
        machine.guest.store(0xA0000 if mode == 0x13 else 0xB8000, b"x")
        reports = [machine.run_frame() for _ in range(3)]
        wait_until(lambda: hearer.told[-1]["frame"] == reports[-1].frame_number)
        message = hearer.told[-1]
        info = machine.screen.info
        assert message["mode"] == {
            "name": info.mode_name, "width": info.width, "height": info.height,
            "aspect": info.aspect, "text": mode == 3,
        }  # fmt: skip
        assert message["keeper"] == "flags"
        assert message["harvest"][0] == reports[-1].harvest_ns
        assert message["harvest"][3] == max(report.harvest_ns for report in reports)
        assert message["curve"][-3:] == [report.harvest_ns for report in reports]
        assert message["last"][0] == 0
        assert message["max"][0] == 1
        assert message["map"]["pages"] == machine.vram.npages
        assert any(told["map"]["dirty"] in list("fedcba") for told in hearer.told)  # it alone
        assert not message["looks_only"]
        # Who misses a message gets its part of the curve with the next one.
        wait_until(lambda: not hearer.told[-1]["curve"])
        wait_until(lambda: behind.told[-1]["frame"] == reports[-1].frame_number)
        assert behind.told[-1]["looks_only"]
        assert behind.told[-1]["curve"][-3:] == message["curve"][-3:]


def test_each_harvest_is_told_once() -> None:
    hearer = Hearer()
    with Machine() as machine, listening(machine, hearer):
        reports = []
        for _ in range(3):
            reports += [machine.run_frame() for _ in range(5)]
            wait_until(lambda: bool(hearer.told) and hearer.told[-1]["frame"] == machine.frames - 1)
        wait_until(lambda: not hearer.told[-1]["curve"])
        told = [ns for message in hearer.told for ns in message["curve"]]
        assert told == [report.harvest_ns for report in reports]


def test_what_many_are_told_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out = []
    message = Live.message

    def counted(live: Live, info: ScreenInfo, known: int, *, looks_only: bool) -> Message:
        worked_out.append(known)
        return message(live, info, known, looks_only=looks_only)

    monkeypatch.setattr(Live, "message", counted)
    hearers = [Hearer() for _ in range(50)]
    with Machine() as machine, listening(machine, *hearers):
        wait_until(lambda: all(hearer.told for hearer in hearers))
    # Who came after the first were told knows less.
    assert len(worked_out) * 5 < sum(len(hearer.told) for hearer in hearers)


def test_nobody_is_told_who_has_gone() -> None:
    hearer, gone = Hearer(), Hearer(gone=True)
    with Machine() as machine, listening(machine, gone, hearer) as live:
        wait_until(lambda: gone not in live._listeners and bool(hearer.told))
        live.leave(hearer)
        wait_until(lambda: live._thread is None)
        machine.tick(3)
        assert not live._meter._waiting  # nothing is gathered for nobody
        told = len(hearer.told)
        live.join(hearer)
        wait_until(lambda: len(hearer.told) > told)
    wait_until(lambda: live._thread is None)
