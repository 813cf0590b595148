"""What a viewer types, points at and pastes arrives at the guest; what is down comes up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rfb_client import RAW, Client

from vgaemu.display.events import MouseButton, MouseMoved, MousePlaced
from vgaemu.keys.queue import Key
from vgaemu.keys.scancodes import of_key
from vgaemu.keys.table import BY_NAME, HELD, KEYS
from vgaemu.machine import Machine
from vgaemu.view.inbox import MAX_EVENTS, Inbox, Pointer
from vgaemu.view.keyboard import ViewerKeyboard, name_of
from vgaemu.view.messages import PointerEvent

SHIFT, CTRL, ALT = 0xFFE1, 0xFFE3, 0xFFE9
#: What X calls keys that type nothing of Latin-1.
NAMED = {
    "esc": 0xFF1B, "backspace": 0xFF08, "tab": 0xFF09, "enter": 0xFF0D, "shift": SHIFT,
    "ctrl": CTRL, "alt": ALT, "capslock": 0xFFE5, "numlock": 0xFF7F, "scrolllock": 0xFF14,
    "print": 0xFF61, "pause": 0xFF13, "home": 0xFF50, "up": 0xFF52, "pageup": 0xFF55,
    "left": 0xFF51, "right": 0xFF53, "end": 0xFF57, "down": 0xFF54, "pagedown": 0xFF56,
    "insert": 0xFF63, "delete": 0xFFFF, "menu": 0xFF67,
    **{f"f{n}": 0xFFBD + n for n in range(1, 13)},
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=[key.name for key in KEYS])
def test_each_key_by_keysym_and_by_scancode(key):
    keysym = NAMED[key.name] if key.name in NAMED else ord(key.text)
    keycode = key.scancode | (0x80 if key.extended else 0)
    assert name_of(keysym, 0) == name_of(0, keycode) == name_of(keysym, keycode) == key.name
    keyboard = ViewerKeyboard()
    assert keyboard.press(keysym, 0) == Key(key.name, True, key.text)
    again = keyboard.press(keysym, 0)  # it repeats, but for what is held for what it does
    assert (again is None) == (key.name in HELD)
    assert keyboard.release(keysym, 0) == Key(key.name, False)
    assert keyboard.release(keysym, 0) is None


@pytest.mark.parametrize("character", [c for c in BY_NAME if len(c) == 1])
def test_each_character_by_keysym_alone(character: str):
    """A guest's keyboard sends what types it, shift or not."""
    row, with_shift = BY_NAME[character]
    pressed = ViewerKeyboard().press(ord(character), 0)
    assert pressed is not None
    assert pressed.text == character
    code = of_key(pressed, shift=False)
    assert code == (bytes((0x2A, row.scancode)) if with_shift else bytes((row.scancode,)))


def test_a_scancode_goes_through_as_it_is():
    """With shift down by itself, a capital brings none of its own."""
    keyboard = ViewerKeyboard()
    keyboard.press(SHIFT, 0x2A)
    pressed = keyboard.press(ord("Z"), 0x15)  # Y's place, a German keyboard
    assert pressed == Key("y", True, "Z")
    assert of_key(pressed, shift=True) == b"\x15"


def test_control_characters_are_what_a_window_gives():
    keyboard = ViewerKeyboard()
    keyboard.press(CTRL, 0)
    assert keyboard.press(ord("c"), 0) == Key("c", True, "\x03")
    keyboard.release(CTRL, 0)
    keyboard.press(ALT, 0)
    assert keyboard.press(ord("x"), 0) == Key("x", True, "")


def test_a_key_comes_up_as_what_it_went_down():
    keyboard = ViewerKeyboard()
    keyboard.press(SHIFT, 0)
    keyboard.press(ord("A"), 0)
    keyboard.release(SHIFT, 0)
    assert keyboard.release(ord("a"), 0) == Key("A", False)


def test_a_key_that_repeats_is_the_one_that_went_down():
    keyboard = ViewerKeyboard()
    keyboard.press(ord("a"), 0)
    keyboard.press(SHIFT, 0)
    assert keyboard.press(ord("A"), 0) == Key("a", True, "A")
    assert keyboard.release(ord("A"), 0) == Key("a", False)


def test_all_that_is_down_comes_up():
    keyboard = ViewerKeyboard()
    for keysym in (SHIFT, ord("A"), 0xFF52):
        keyboard.press(keysym, 0)
    assert keyboard.release_all() == [Key("shift", False), Key("A", False), Key("up", False)]
    assert keyboard.release_all() == []


@pytest.mark.parametrize("keysym", [0, 0xFFEB, 0x01110000, 0xFFFFFFFF, 0x0100D800, 0x1FF, 0x7F])
def test_keys_that_the_guest_has_not(keysym: int):
    assert ViewerKeyboard().press(keysym, 0) is None
    assert ViewerKeyboard().press(keysym, 0xDB) is None


def test_the_keypad_types_or_moves_as_the_keysym_says():
    assert [name_of(0xFFB0 + n, 0) for n in range(10)] == list("0123456789")
    assert name_of(0xFFB8, 0x48) == "8"
    assert name_of(0xFF97, 0x48) == name_of(0, 0x48) == "up"


def test_characters_beyond_a_us_keyboard():
    assert ViewerKeyboard().press(0xFC, 0x1A) == Key("[", True, "ü")
    assert ViewerKeyboard().press(0xFC, 0) == Key("ü", True, "ü")
    assert ViewerKeyboard().press(0x010020AC, 0) == Key("€", True, "€")


# Pointers.


def test_a_pointer_is_placed_and_its_buttons_go_down_and_up():
    pointer = Pointer()
    assert pointer.events(PointerEvent(0, 5, 6)) == [MousePlaced(5, 6)]
    assert pointer.events(PointerEvent(0, 5, 6)) == []
    assert pointer.events(PointerEvent(5, 7, 6)) == [
        MousePlaced(7, 6), MouseButton(1, True), MouseButton(3, True)
    ]  # fmt: skip
    assert pointer.events(PointerEvent(4, 7, 6)) == [MouseButton(1, False)]
    assert pointer.release_all() == [MouseButton(3, False)]
    assert pointer.release_all() == []


def test_a_wheel_turns_once_a_click():
    pointer = Pointer()
    turns = [pointer.events(PointerEvent(mask, 0, 0))[-1:] for mask in (8, 0, 8, 0, 16, 0)]
    assert turns == [
        [MouseMoved(0, 0, -1)], [], [MouseMoved(0, 0, -1)], [], [MouseMoved(0, 0, 1)], []
    ]  # fmt: skip


def test_who_may_not_press_any_more_still_lets_go():
    pointer = Pointer()
    pointer.events(PointerEvent(1, 0, 0))
    assert pointer.events(PointerEvent(3, 9, 9), presses=False) == []
    assert pointer.events(PointerEvent(2, 9, 9), presses=False) == [MouseButton(1, False)]


# What waits.


def test_pointers_on_their_way_are_forgotten():
    inbox = Inbox()
    for x in range(9):
        inbox.put(MousePlaced(x, 0))
    inbox.put(MouseButton(1, True))
    inbox.put(MousePlaced(9, 0))
    assert inbox.take() == [MousePlaced(8, 0), MouseButton(1, True), MousePlaced(9, 0)]
    assert inbox.take() == []


# Through the server.


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr("vgaemu.view.server.SPEAKS_FIRST_SECONDS", 0.005)
    with Machine() as machine:
        machine.tick()
        yield machine


def heard(client: Client) -> None:
    """All that was said before has been taken."""
    client.send(b"\xf8\0\0\0\x80\0\0\0\1?")
    while client.hear() != 248:
        pass


def test_keys_arrive_by_scancode(machine: Machine):
    server = machine.serve(port=0)
    with Client(server.port, (RAW,)) as client:
        client.scancode(0x1E, True)
        client.scancode(0x1E, False)
        client.scancode(0xC8, True)
        heard(client)
        machine.closed_by_user()
        keys = iter(machine.keys.get, None)
        assert list(keys) == [Key("a", True, "a"), Key("a", False), Key("up", True)]


def test_a_pointer_arrives(machine: Machine):
    server = machine.serve(port=0)
    machine.mouse.listening = True
    with Client(server.port, (RAW,)) as client:
        for buttons, x, y in ((0, 5, 6), (1, 8, 5)):
            client.send(b"\5" + bytes((buttons, 0, x, 0, y)))
            heard(client)
            machine.closed_by_user()
        assert machine.mouse.take() == (3, -1, 0, 1)


def test_a_clipboard_arrives(machine: Machine):
    server = machine.serve(port=0)
    with Client(server.port, (RAW,)) as client:
        client.paste(b"dir\r\n" + bytes(70_000))  # of which the first part is taken
        heard(client)
        assert list(server.poll()) == []  # whoever copies something elsewhere types nothing here
        for keysym in (CTRL, SHIFT, ord("V"), ord("V")):  # which repeats
            client.key(keysym, True)
        for keysym in (ord("V"), SHIFT, CTRL):
            client.key(keysym, False)
        client.type("v")
        heard(client)
        typed = ""
        for _ in range(9):
            machine.closed_by_user()
            machine.tick()
            typed += machine.keys.typed()
        assert typed == "vdir\n"
        assert not machine.keys.down


@pytest.mark.parametrize(
    ("clipboard", "held"),
    [(b"", (CTRL, SHIFT)), (b"text", (CTRL,)), (b"text", (CTRL, SHIFT, ALT)), (b"text", (SHIFT,))],
)
def test_other_keys_do_not_ask_for_the_clipboard(
    machine: Machine, clipboard: bytes, held: tuple[int, ...]
):
    server = machine.serve(port=0)
    with Client(server.port, (RAW,)) as client:
        client.paste(clipboard)
        for keysym in (*held, ord("V")):
            client.key(keysym, True)
        heard(client)
        events = list(server.poll())
        assert len(events) == len(held) + 1
        assert all(isinstance(event, Key) and event.pressed for event in events)


def test_without_frames_what_is_kept_has_bounds_and_nothing_stays_down(machine: Machine):
    server = machine.serve(port=0)
    with Client(server.port, (RAW,)) as client:
        for _ in range(MAX_EVENTS + 100):
            client.type("ab")
        client.key(SHIFT, True)
        heard(client)
        events = list(server.poll())
        assert len(events) <= MAX_EVENTS + len("ab")
        down: set[str] = set()
        for event in events:
            assert isinstance(event, Key)
            (down.add if event.pressed else down.discard)(event.name)
        assert not down
