"""What a viewer gets, decoded by a client that shares no code with the server, is the picture."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from time import monotonic, sleep

import numpy as np
import pytest
from numpy.typing import NDArray
from rfb_client import (
    CONTINUOUS,
    COPY_RECT,
    DESKTOP_NAME,
    DESKTOP_SIZE,
    EXTENDED_SIZE,
    FENCE,
    HANG_SECONDS,
    LAST_RECT,
    PSEUDO,
    QEMU_KEYS,
    RAW,
    TIGHT,
    TRUE_32,
    ZLIB,
    Client,
)
from view_guests import bytes_256, planes, true_colour

import vgaemu
from vgaemu.bench.view_client import Decoder
from vgaemu.errors import ViewError
from vgaemu.guest.workload import Guest
from vgaemu.machine import Machine
from vgaemu.view.encodings.base import Colours
from vgaemu.view.server import Server

Frame = NDArray[np.uint32]


def text(guest: Guest) -> None:
    """Text in several colours."""
    for row in range(20):
        guest.text.set_colour(row % 15 + 1, row % 3)
        guest.text.print(f"{row:3} the quick brown fox")


PICTURES = {draw.__name__: draw for draw in (text, bytes_256, planes, true_colour)}


@pytest.fixture(autouse=True)
def no_browsers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Viewers of these tests are not waited for to speak first."""
    monkeypatch.setattr("vgaemu.view.server.SPEAKS_FIRST_SECONDS", 0.005)


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine() as machine:
        yield machine


def serve(machine: Machine) -> Server:
    return machine.serve(port=0)


def shown(machine: Machine, client: Client) -> None:
    """The frame that stands is what the client comes to have, and it is the machine's picture."""
    assert machine.settle(HANG_SECONDS)
    client.see(machine.screen.frame)
    np.testing.assert_array_equal(machine.screen.frame, machine.screen.full_redraw())


def first(machine: Machine, client: Client) -> Frame:
    """The first update that was asked for whole; nothing else is waited for."""
    client.ask(incremental=False)
    client.update()
    return client.frame()


@pytest.mark.parametrize("encoding", [RAW, ZLIB, TIGHT])
@pytest.mark.parametrize("picture", PICTURES)
def test_the_first_answer_is_the_whole_picture(machine: Machine, picture: str, encoding: int):
    server = serve(machine)
    PICTURES[picture](machine.guest)
    machine.tick()
    assert machine.settle(HANG_SECONDS)
    with Client(server.port, (encoding,)) as client:
        np.testing.assert_array_equal(first(machine, client), machine.screen.frame)
        assert set(client.seen) == {encoding}


@pytest.mark.parametrize("picture", PICTURES)
def test_what_changes_is_sent_and_nothing_else(machine: Machine, picture: str):
    server = serve(machine)
    PICTURES[picture](machine.guest)
    machine.tick()
    with Client(server.port) as client:
        shown(machine, client)
        before = client.received
        client.ask()
        machine.guest.ports["cursor_off"] = 1
        if picture == "text":
            machine.guest.text.print("x")
        else:
            machine.guest.canvas.fill_rect(8, 8, 4, 4, 1)
        machine.tick()
        client.update()
        np.testing.assert_array_equal(client.frame(), machine.screen.frame)
        assert client.received - before < 300


def native(frame: Frame, form: tuple[int, ...]) -> Frame:
    """Colours in a viewer's format, a channel at a time and rounded."""
    largest, shifts = form[4:7], form[7:10]
    channels = [(frame >> np.uint32(shift) & 0xFF).astype(float) for shift in (16, 8, 0)]
    parts = [
        np.floor(c * most / 255 + 0.5).astype(np.uint32) << np.uint32(shift)
        for c, most, shift in zip(channels, largest, shifts, strict=True)
    ]
    return parts[0] | parts[1] | parts[2]


FORMS = {
    "8 bits": (8, 8, 0, 1, 7, 7, 3, 0, 3, 6),
    "565": (16, 16, 0, 1, 31, 63, 31, 11, 5, 0),
    "555 big": (16, 15, 1, 1, 31, 31, 31, 10, 5, 0),
    "bgr": (32, 24, 0, 1, 255, 255, 255, 0, 8, 16),
    "big": (32, 24, 1, 1, 255, 255, 255, 16, 8, 0),
    "top": (32, 24, 0, 1, 255, 255, 255, 24, 16, 8),
    "deep": (32, 30, 1, 1, 1023, 1023, 1023, 20, 10, 0),
    "grey": (8, 8, 0, 1, 255, 255, 255, 0, 0, 0),
    "red alone": (8, 8, 0, 1, 1, 0, 0, 7, 0, 0),
}


@pytest.mark.parametrize("encoding", [RAW, ZLIB, TIGHT])
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_any_pixel_format(machine: Machine, form: tuple[int, ...], encoding: int):
    server = serve(machine)
    bytes_256(machine.guest)
    machine.tick()
    assert machine.settle(HANG_SECONDS)
    with Client(server.port, (encoding,), form=form) as client:
        first(machine, client)
        np.testing.assert_array_equal(client.pixels, native(machine.screen.frame, form))


@pytest.mark.parametrize("encoding", [RAW, ZLIB, TIGHT])
def test_a_colour_map_is_the_vgas_palette(machine: Machine, encoding: int):
    server = serve(machine)
    bytes_256(machine.guest)
    machine.tick()
    with Client(server.port, (encoding,), form=(8, 8, 0, 0, 0, 0, 0, 0, 0, 0)) as client:
        shown(machine, client)
        palette = machine.screen.palette
        assert palette is not None
        assert list(client.colours.values()) == palette.tolist()
        machine.guest.canvas.set_palette([[18, 52, 86]], 7)
        machine.tick()
        shown(machine, client)
        assert client.told.count(1) == 2


def test_a_colour_map_for_colours_without_number(machine: Machine):
    server = serve(machine)
    true_colour(machine.guest)
    machine.tick()
    assert machine.settle(HANG_SECONDS)
    with Client(server.port, (RAW,), form=(8, 8, 0, 0, 0, 0, 0, 0, 0, 0)) as client:
        got = first(machine, client)
        for shift in (16, 8, 0):
            parts = [
                (f >> np.uint32(shift) & 0xFF).astype(int) for f in (got, machine.screen.frame)
            ]
            assert np.abs(parts[0] - parts[1]).max() <= 26


def test_a_format_may_change_amid_a_session(machine: Machine):
    server = serve(machine)
    bytes_256(machine.guest)
    machine.tick()
    with Client(server.port, (TIGHT,)) as client:
        shown(machine, client)
        client.set_form(FORMS["565"])
        first(machine, client)
        np.testing.assert_array_equal(client.pixels, native(machine.screen.frame, FORMS["565"]))


@pytest.mark.parametrize("size", [DESKTOP_SIZE, EXTENDED_SIZE])
def test_a_viewer_follows_mode_changes(machine: Machine, size: int):
    server = serve(machine)
    machine.tick()
    with Client(server.port, (TIGHT, size)) as client:
        shown(machine, client)
        for mode in (0x13, 0x12, 3):
            machine.guest.set_mode(mode)
            machine.tick()
            shown(machine, client)
        assert client.seen.count(size) == (3 if size == DESKTOP_SIZE else 4)


def test_a_viewer_of_one_size_has_the_picture_cut_or_beside_black(machine: Machine):
    server = serve(machine)
    machine.guest.set_mode(0x13)
    machine.tick()
    with Client(server.port, (ZLIB,)) as client:
        shown(machine, client)
        planes(machine.guest)
        machine.tick()
        assert machine.settle(HANG_SECONDS)
        client.see(machine.screen.frame[:200, :320])
    with Client(server.port, (RAW,)) as client:
        machine.guest.set_mode(0x13)
        machine.guest.store(0xA0000, bytes([9]) * 640)
        machine.tick()
        assert machine.settle(HANG_SECONDS)
        expected = np.zeros((480, 640), np.uint32)
        expected[:200, :320] = machine.screen.frame
        client.see(expected)


def test_asking_for_another_size_is_refused(machine: Machine):
    server = serve(machine)
    machine.tick()
    with Client(server.port) as client:
        shown(machine, client)
        client.send(b"\xfb\0\x03\x20\x02\x58\1\0" + bytes(16))
        client.ask()
        client.update()
        assert client.refusals == [(1, 1)]
        assert client.pixels.shape == (400, 720)


def test_scrolling_by_the_start_address_is_copied(machine: Machine):
    server = serve(machine)
    guest = machine.guest
    guest.set_mode(0x13)
    noise = np.random.default_rng(1).integers(0, 256, 65536, np.uint8)
    guest.store(0xA0000, noise.tobytes())
    machine.tick()
    with Client(server.port) as client:
        shown(machine, client)
        for start in (80 * 3, 80 * 3 + 5, 80):  # three rows, twenty pixels, and back
            client.seen.clear()
            before = client.received
            client.ask()
            guest.ports["start_address"] = start
            machine.tick()
            client.update()
            shown(machine, client)
            assert COPY_RECT in client.seen
            assert client.received - before < 10_000


def test_above_a_split_only_what_scrolls_is_copied(machine: Machine):
    server = serve(machine)
    guest = machine.guest
    guest.set_mode(0x13)
    noise = np.random.default_rng(1).integers(0, 256, 65536, np.uint8)
    guest.store(0xA0000, noise.tobytes())
    guest.ports["line_compare"] = 300
    guest.ports["start_address"] = 80 * 20
    machine.tick()
    with Client(server.port) as client:
        shown(machine, client)
        client.ask()
        guest.ports["start_address"] = 80 * 22
        machine.tick()
        client.update()
        shown(machine, client)
        assert COPY_RECT in client.seen


def test_part_of_the_picture_may_be_asked_for(machine: Machine):
    server = serve(machine)
    bytes_256(machine.guest)
    machine.tick()
    assert machine.settle(HANG_SECONDS)
    with Client(server.port, (RAW,)) as client:
        client.ask(incremental=False, area=(10, 20, 30, 40))
        client.update()
        expected = np.zeros((200, 320), np.uint32)
        expected[20:60, 10:40] = machine.screen.frame[20:60, 10:40]
        np.testing.assert_array_equal(client.pixels, expected)
        client.ask(area=(0, 0, 320, 30))  # what it does not have there
        machine.guest.store(0xA0000, bytes(320 * 200))
        machine.tick()
        client.update()
        assert not client.pixels[:30].any()
        np.testing.assert_array_equal(client.pixels[60:], expected[60:])
        shown(machine, client)


def test_a_slow_viewer_gets_all_that_it_missed_in_one_update(machine: Machine):
    server = serve(machine)
    bytes_256(machine.guest)
    machine.tick()
    with Client(server.port) as client:
        shown(machine, client)
        for row in range(0, 200, 9):
            machine.guest.store(0xA0000 + 320 * row, bytes([row]) * 320)
            machine.tick()
        assert machine.settle(HANG_SECONDS)
        client.ask()
        client.update()
        np.testing.assert_array_equal(client.frame(), machine.screen.frame)


def test_updates_come_unasked_one_at_a_time(machine: Machine):
    server = serve(machine)
    bytes_256(machine.guest)
    machine.tick()
    with Client(server.port, (TIGHT, FENCE, CONTINUOUS, *PSEUDO)) as client:
        client.ask(incremental=False)
        client.update()
        assert sorted(client.told) == [0, 150, 248]
        client.answers_fences = False
        client.let_come()
        machine.guest.store(0xA0000, bytes(320))
        machine.tick()
        while client.fences[-1][1] != b"update":
            client.hear()
        updates = client.updates
        for row in range(1, 9):  # the fence is not answered
            machine.guest.store(0xA0000 + 320 * row, bytes(320))
            machine.tick()
        assert machine.settle(HANG_SECONDS)
        client.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.hear()
        client.sock.settimeout(HANG_SECONDS)
        client.send(b"\xf8\0\0\0" + bytes(3) + b"\1\6update")
        client.hear()
        assert client.updates == updates + 1
        np.testing.assert_array_equal(client.frame(), machine.screen.frame)
        client.answers_fences = True
        client.let_come(False)
        while client.hear() != 150:
            pass


def test_a_fence_is_answered_with_what_it_has(machine: Machine):
    with Client(serve(machine).port) as client:
        client.send(b"\xf8\0\0\0\x80\0\0\x0f\5hello")
        client.hear()
        assert client.fences == [(7, b"hello")]


def test_large_pictures_come_in_parts_and_their_end_is_told(machine: Machine):
    server = serve(machine)
    true_colour(machine.guest)
    machine.tick()
    assert machine.settle(HANG_SECONDS)
    with Client(server.port) as client:
        np.testing.assert_array_equal(first(machine, client), machine.screen.frame)
        assert client.seen[-1] == LAST_RECT


def test_keys_name_and_lamps_are_told_once(machine: Machine):
    server = serve(machine)
    machine.tick()
    with Client(server.port, (TIGHT, *PSEUDO)) as client:
        assert client.name == "vgaemu, text 80x25"
        shown(machine, client)
        assert client.has_keys
        assert client.lamps is None  # a machine without a BIOS has none
        machine.guest.set_mode(0x13)
        machine.tick()
        shown(machine, client)
        assert client.name == "vgaemu, 320x200x256"
        assert client.seen.count(QEMU_KEYS) == client.seen.count(DESKTOP_NAME) == 1


def test_lamps_are_those_of_the_guests_keyboard():
    pytest.importorskip("unicorn")
    with Machine(vgaemu.assets.guests() / "snake.img") as machine:
        server = serve(machine)
        machine.tick(5)
        with Client(server.port, (TIGHT, *PSEUDO)) as client:
            shown(machine, client)
            assert client.lamps == 0
            machine.keys.press("capslock")
            machine.tick(5)
            client_told(machine, client, 4)


def client_told(machine: Machine, client: Client, lamps: int) -> None:
    while client.lamps != lamps:
        client.ask()
        machine.closed_by_user()  # events are looked for
        client.update()


# Who may look, and who may type.


@pytest.mark.parametrize(
    "version", [b"003.003", b"003.005", b"003.007", b"003.008", b"003.889", b"004.001"]
)
@pytest.mark.parametrize("password", [None, "secret"])
def test_all_versions_with_and_without_a_password(
    machine: Machine, version: bytes, password: str | None
):
    server = machine.serve(port=0, password=password)
    machine.tick()
    encoded = None if password is None else password.encode()
    client = Client(server.port, (RAW,), silent=True, password=encoded)
    client.version = b"RFB %b\n" % version
    with client:
        client.shake_hands()
        shown(machine, client)


@pytest.mark.parametrize("minor", [3, 7, 8])
def test_a_wrong_password_is_refused(
    machine: Machine, minor: int, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):  # fmt: skip
    monkeypatch.setattr("vgaemu.view.handshake.REFUSAL_SECONDS", 0.0)
    server = machine.serve(port=0, password="secret")
    client = Client(server.port, silent=True, password=b"secrex")
    client.version = b"RFB 003.%03d\n" % minor
    with client, pytest.raises(PermissionError, match=r"wrong password|^$"):
        client.shake_hands()
    gone(server)
    assert [r.getMessage().split(" ", 2)[2] for r in caplog.records if r.levelno > 20] == [
        "sent away: it has the wrong password"
    ]


def gone(server: Server) -> None:
    """Everybody has hung up, and is forgotten."""
    until = monotonic() + HANG_SECONDS
    while "0 connections" not in repr(server):
        assert monotonic() < until
        sleep(0.01)


def test_elsewhere_a_password_is_needed(machine: Machine):
    with pytest.raises(ViewError, match=r"^0\.0\.0\.0:0: who looks .* must know a password"):
        machine.serve(port=0, host="0.0.0.0")
    for port in (0x10000, 99_999, -1):
        with pytest.raises(ViewError, match=rf"^127\.0\.0\.1:{port}: ports are 0 to 65535$"):
            machine.serve(port)
    with pytest.raises(ViewError, match="must know a password"):
        machine.serve(port=0, host="::")
    machine.serve(port=0, host="localhost").close()
    machine.serve(port=0, host="0.0.0.0", password="x").close()


@pytest.mark.parametrize("password", ["", "\0", "日本", "ninechars"])
def test_passwords_that_nobody_can_know(machine: Machine, password: str):
    with pytest.raises(ViewError, match="1 to 8 characters"):
        machine.serve(port=0, password=password)


def test_a_port_that_is_taken(machine: Machine):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ViewError, match=rf"^127.0.0.1:{port}: [\w ]+; name a free port"):
            machine.serve(port=port)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_that_closes_the_machine_leaves_its_parents_viewers_alone(machine: Machine):
    server = serve(machine)
    machine.tick()
    with Client(server.port, (RAW, *PSEUDO)) as before:
        child = os.fork()
        if not child:
            with suppress(BaseException):
                machine.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        shown(machine, before)
        with Client(server.port, (RAW, *PSEUDO)) as after:
            shown(machine, after)


def typed(machine: Machine, wanted: str) -> str:
    """What arrives at the guest, up to as much as is wanted or for a second."""
    until, got = monotonic() + HANG_SECONDS, ""
    while len(got) < len(wanted) and monotonic() < until:
        machine.run(machine.frames + 1, speed=0)
        got += machine.keys.typed()
    return got


def test_who_comes_first_types(machine: Machine):
    server = serve(machine)
    with ExitStack() as stack:
        one, two = (stack.enter_context(Client(server.port, (RAW, *PSEUDO))) for _ in range(2))
        machine.tick()
        shown(machine, two)
        assert two.name == "vgaemu, text 80x25 (look only)"
        two.type("no")
        first(machine, two)  # what it said before that was heard
        one.type("Yes!\n")
        assert typed(machine, "Yes!\n") == "Yes!\n"
        one.key(0xFFE1, True)
        assert wait_for(machine, lambda: machine.keys.is_down("shift"))
        one.sock.close()
        assert wait_for(machine, lambda: not machine.keys.is_down("shift"))
        machine.tick()
        client_named(two, "vgaemu, text 80x25")
        two.type("Now")
        assert typed(machine, "Now") == "Now"


def client_named(client: Client, name: str) -> None:
    while client.name != name:
        client.ask()
        client.update()


def wait_for(machine: Machine, condition: Callable[[], bool]) -> bool:
    until = monotonic() + HANG_SECONDS
    while not condition() and monotonic() < until:
        machine.run(machine.frames + 1, speed=0)
        machine.keys.typed()
        sleep(0.001)
    return condition()


def test_all_may_type_where_that_was_said(machine: Machine):
    server = machine.serve(port=0, shared=True)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.port, (RAW,))) for _ in range(2)]
        for client in clients:
            client.type("ab")
            assert typed(machine, "ab") == "ab"


# How it ends.


def test_closing_the_machine_ends_all(machine: Machine):
    server = serve(machine)
    machine.tick()
    client = Client(server.port, (RAW,))
    shown(machine, client)
    machine.close()
    with client, pytest.raises(EOFError):
        client.hear()
    with pytest.raises(OSError, match="refused"):
        Client(server.port)


def test_closing_the_server_leaves_the_machine(machine: Machine):
    server = serve(machine)
    machine.tick()
    client = Client(server.port, (RAW,))
    server.close()
    server.close()
    with client, pytest.raises(EOFError):
        client.hear()
    machine.tick(2)
    gone(server)


def test_true_32_is_what_the_client_says_it_is():
    assert Colours().form.pack()[:13] == bytes((32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0))
    assert TRUE_32 == (32, 24, 0, 1, 255, 255, 255, 16, 8, 0)


# What it costs.


def test_the_benchmarks_viewer_reads_what_is_sent(machine: Machine):
    server = serve(machine)
    machine.tick()
    viewer = Decoder(server.port)
    for draw in PICTURES.values():
        draw(machine.guest)
        machine.tick()
        viewer.ask(incremental=False)
        until = monotonic() + HANG_SECONDS
        while not np.array_equal(viewer.pixels, machine.screen.frame):
            assert monotonic() < until
            viewer.update()
            viewer.ask(incremental=True)
    viewer.close()


def test_what_goes_over_the_wire_is_little(machine: Machine):
    server = serve(machine)
    machine.guest.text.print("\n".join(["The quick brown fox jumps over the lazy dog. " * 2] * 22))
    machine.tick()
    with Client(server.port, (TIGHT, LAST_RECT)) as client:
        before = client.received
        first(machine, client)
        assert client.received - before < 12_000
        for letter in "typing":
            before = client.received
            client.ask()
            machine.guest.text.print(letter, end="")
            machine.tick()
            client.update()
            assert client.received - before < 400
