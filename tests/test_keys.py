"""The table of keys: names, what they type, scancodes."""

import pytest

from vgaemu.errors import KeysError
from vgaemu.keys import scancodes
from vgaemu.keys.queue import OTHERS_NAMES, Key, Keys, key_text, parse_keys
from vgaemu.keys.schedule import KeySchedule
from vgaemu.keys.table import BY_NAME, CHARACTER_NAMES, KEYS

each_key = pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)


@each_key
def test_a_key_types_its_text_alone_and_with_shift(key):
    assert key_text(key.name) == key.text
    assert key_text(f"shift-{key.name}") == key.shifted


@each_key
def test_a_key_sends_its_scancode(key):
    if key.name == "pause":
        assert scancodes.of_key(Key("pause", True), shift=False).hex() == "e11d45e19dc5"
        assert scancodes.of_key(Key("pause", True), shift=False, ctrl=True).hex() == "e046e0c6"
        return
    prefix = b"\xe0" if key.extended else b""
    pressed, released = (Key(key.name, down) for down in (True, False))
    assert scancodes.of_key(pressed, shift=False) == prefix + bytes((key.scancode,))
    assert scancodes.of_key(released, shift=False) == prefix + bytes((key.scancode | 0x80,))


@each_key
def test_a_shifted_character_brings_its_shift_unless_it_is_down(key):
    if key.shifted == key.text:
        return
    code = bytes((key.scancode,))
    for name in (key.shifted, CHARACTER_NAMES.get(key.shifted, key.shifted)):
        assert scancodes.of_key(Key(name, True), shift=False) == b"\x2a" + code
        assert scancodes.of_key(Key(name, True), shift=True) == code


def test_no_two_keys_are_one():
    assert len({key.name for key in KEYS}) == len(KEYS)
    assert len({(key.scancode, key.extended) for key in KEYS}) == len(KEYS)
    sdl = [name for key in KEYS for name in (*key.sdl, key.keypad) if name]
    assert len(set(sdl)) == len(sdl)
    # All that ASCII has is on the keyboard.
    assert {chr(code) for code in range(0x20, 0x7F)} <= BY_NAME.keys()


def test_menu_is_the_key_beside_the_right_ctrl():
    assert scancodes.of_key(Key("menu", True), shift=False) == b"\xe0\x5d"


def test_shift_on_another_layouts_character():
    assert key_text("shift-ö") == "Ö"
    assert key_text("shift-!") == "!"


def test_a_text_is_typed_by_the_keys_names():
    keys = Keys()
    keys.type("a, b\n!")
    struck = [key for key in iter(keys.get, None) if key.pressed]
    assert [key.name for key in struck] == ["a", "comma", "space", "b", "enter", "!"]
    assert "".join(key.text for key in struck) == "a, b\n!"


@pytest.mark.parametrize("spec", ["a", ":a", "x:a", "-1:a", "9" * 5000 + ":a", "1:a,,2:b"])
def test_a_script_of_keys_that_is_none(spec):
    with pytest.raises(KeysError, match="is not FRAME:KEY"):
        parse_keys(spec)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Enter", "did you mean enter?"),
        ("ctrl-alt-del", "did you mean delete?"),
        ("RET", "did you mean enter?"),
        ("escape", "did you mean esc?"),
        ("Esc", "did you mean esc?"),
        ("rigth", "did you mean right?"),
        ("dot", "did you mean .?"),
        ("f13", "keys are single characters, alt, "),
        ("", "keys are single characters, alt, "),
    ],
)
def test_a_key_of_another_name_is_told_its_own(name, hint):
    with pytest.raises(KeysError) as refused:
        Keys().press(name)
    assert str(refused.value).startswith(f"no key named {name.rpartition('-')[2]!r}; {hint}")


def test_what_others_call_a_key_is_no_name_here():
    assert not OTHERS_NAMES.keys() & BY_NAME.keys()
    assert BY_NAME.keys() >= set(OTHERS_NAMES.values())


def test_a_keyboard_of_scancodes_has_the_tables_keys_alone():
    keys = Keys()
    schedule = KeySchedule(keys)
    keys.type("aé")
    assert keys.typed() == "aé"
    keys.are_scancodes = True
    for type_it in (
        lambda: keys.type("é"),
        lambda: keys.press("ctrl-é"),
        lambda: schedule.add("3:a,4:é"),
    ):
        with pytest.raises(KeysError, match=r"^no key types 'é'$"):
            type_it()
    assert not schedule.left
    assert len(keys) == 0
    keys.press("shift-a")
    assert keys.typed() == "A"
