"""What terminals send, as keys: tables of xterm, the Linux console and kitty, and anything else."""

from __future__ import annotations

import random

import pytest

from vgaemu.display.events import Close, Paste, PauseToggled, Screenshot, SlotStep, Turbo
from vgaemu.display.terminal.keyboard import ESC_S, HELD_S, TerminalKeyboard, Wish
from vgaemu.display.terminal.keys import Answer, PasteEdge, Press, read, split
from vgaemu.keys.queue import Key

#: Bytes -> modifiers and name of the key, and what it types.
SENT = {
    b"a": ("a", "a"), b"A": ("A", "A"), b" ": ("space", " "), b",": ("comma", ","),
    "é".encode(): ("é", "é"), "€".encode(): ("€", "€"), "😀".encode(): ("😀", "😀"),
    b"\r": ("enter", "\n"), b"\t": ("tab", "\t"), b"\x7f": ("backspace", "\b"),
    b"\x08": ("backspace", "\b"), b"\x1b": ("esc", "\x1b"),
    b"\x03": ("ctrl-c", "\x03"), b"\x1a": ("ctrl-z", "\x1a"), b"\x00": ("ctrl-space", ""),
    b"\x1c": ("ctrl-\\", ""), b"\x1d": ("ctrl-]", ""),
    b"\x1bx": ("alt-x", ""), b"\x1bX": ("alt-X", ""), b"\x1b\r": ("alt-enter", ""),
    b"\x1b\x03": ("ctrl-alt-c", ""), b"\x1b[": ("alt-[", ""), b"\x1bO": ("alt-O", ""),
    b"\x1b[A": ("up", ""), b"\x1bOA": ("up", ""), b"\x1b\x1b[A": ("alt-up", ""),
    b"\x1b[B": ("down", ""), b"\x1b[C": ("right", ""), b"\x1b[D": ("left", ""),
    b"\x1b[H": ("home", ""), b"\x1b[F": ("end", ""), b"\x1b[1~": ("home", ""),
    b"\x1b[2~": ("insert", ""), b"\x1b[3~": ("delete", ""), b"\x1b[5~": ("pageup", ""),
    b"\x1b[6~": ("pagedown", ""), b"\x1b[1;5A": ("ctrl-up", ""), b"\x1b[3;3~": ("alt-delete", ""),
    b"\x1b[1;2D": ("shift-left", ""), b"\x1b[1;8C": ("ctrl-alt-shift-right", ""),
    b"\x1bOP": ("f1", ""), b"\x1bOS": ("f4", ""), b"\x1b[11~": ("f1", ""), b"\x1b[15~": ("f5", ""),
    b"\x1b[24~": ("f12", ""), b"\x1b[1;5P": ("ctrl-f1", ""), b"\x1b[20;5~": ("ctrl-f9", ""),
    b"\x1b[[A": ("f1", ""), b"\x1b[[E": ("f5", ""), b"\x1b[Z": ("shift-tab", "\t"),
    b"\x1bOM": ("enter", "\n"), b"\x1bOk": ("plus", "+"), b"\x1bOp": ("0", "0"),
    b"\x1b[29~": ("menu", ""),
    # Kitty's protocol.
    b"\x1b[97;1:1;97u": ("a", "a"), b"\x1b[97;2:1;65u": ("shift-A", "A"),
    b"\x1b[97;5u": ("ctrl-a", "\x01"), b"\x1b[13u": ("enter", "\n"), b"\x1b[27u": ("esc", "\x1b"),
    b"\x1b[57417;1:1u": ("left", ""), b"\x1b[57441;2:1u": ("shift-shift", ""),
    b"\x1b[57362u": ("pause", ""), b"\x1b[57412;1;45u": ("minus", "-"), b"\x1b[1;1:2A": ("up", ""),
    b"\x1b[233;1:1;233u": ("é", "é"),
}  # fmt: skip


@pytest.mark.parametrize("sent", SENT, ids=repr)
def test_a_key_goes_by_its_name(sent: bytes) -> None:
    name, text = SENT[sent]
    pieces, rest = split(sent, all_of_it=True)
    assert (len(pieces), rest) == (1, b"")
    press = read(pieces[0])
    assert isinstance(press, Press)
    assert ("-".join((*press.held, press.name)), press.text) == (name, text)
    # However it is cut into pieces, it is the same key.
    for at in range(1, len(sent)):
        first, rest = split(sent[:at])
        if not first:
            assert split(rest + sent[at:], all_of_it=True) == (pieces, b"")


def test_names_are_the_guests_own() -> None:
    from vgaemu.keys.queue import key_text

    for name, _ in SENT.values():
        if name not in ("shift-shift",):
            key_text(name)


@pytest.mark.parametrize(
    ("sent", "token"),
    [
        (b"\x1b[?62;4;22c", Answer("c", (62, 4, 22))),
        (b"\x1b[?0u", Answer("u", (0,))),
        (b"\x1b[6;16;8t", Answer("t", (6, 16, 8))),
        (b"\x1b_Gi=31;OK\x1b\\", Answer("G", text="OK")),
        (b"\x1b[I", Answer("I")),
        (b"\x1b[200~", PasteEdge(True)),
        (b"\x1b[201~", PasteEdge(False)),
        (b"\x1b]11;rgb:0000/0000/0000\x07", None),
        (b"\x1bP1$r0m\x1b\\", None),
        (b"\x1b[38;5;1m", None),
        (b"\x1b[9999999999999999999999~", None),
        (b"\x1b[1114112;1;1114112u", None),
        (b"\x1b[55296u", None),
    ],
)
def test_answers_are_no_keys(sent: bytes, token: object) -> None:
    assert split(sent) == ([sent], b"")
    assert read(sent) == token


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_is_taken_apart(seed: int) -> None:
    rng = random.Random(seed)
    parts = [
        *SENT,
        b"\x1b",
        b"\x1b[",
        b"\xff",
        b"\xc3",
        b"\x1b_G",
        b"\x1b[<0;1;1M",
        b";",
        b":",
        b"u",
    ]
    keyboard, now = TerminalKeyboard(), 0.0
    for _ in range(400):
        data = b"".join(rng.choices(parts, k=rng.randrange(4))) + rng.randbytes(rng.randrange(4))
        keyboard.feed(data, now)
        for event in keyboard.events(now):
            if isinstance(event, Key):
                assert event.name
        now += rng.choice((0.001, 0.1))
        keyboard.take_answers()
    assert len(keyboard._rest) < 5000


def typed(keyboard: TerminalKeyboard, data: bytes, now: float = 0.0) -> list[object]:
    keyboard.feed(data, now)
    return list(keyboard.events(now))


def test_a_key_is_held_for_a_while_then_let_go() -> None:
    keyboard = TerminalKeyboard()
    assert typed(keyboard, b"a") == [Key("a", True, "a")]
    assert typed(keyboard, b"", HELD_S / 2) == []
    assert typed(keyboard, b"", HELD_S) == [Key("a", False)]
    assert typed(keyboard, b"\x1b[1;5A", 1) == [Key("ctrl", True), Key("up", True)]
    assert typed(keyboard, b"b", 1) == [Key("up", False), Key("ctrl", False), Key("b", True, "b")]
    assert keyboard.release_all() == [Key("b", False)]


def test_kitty_tells_when_a_key_goes_up() -> None:
    keyboard = TerminalKeyboard()
    assert typed(keyboard, b"\x1b[57441;2:1u") == [Key("shift", True)]
    assert typed(keyboard, b"\x1b[97;2:1;65u") == [Key("A", True, "A")]
    assert typed(keyboard, b"\x1b[97;2:2;65u") == [Key("A", True, "A")]
    assert typed(keyboard, b"", 9) == []
    assert typed(keyboard, b"\x1b[57441;1:3u") == [Key("shift", False)]
    assert typed(keyboard, b"\x1b[97;1:3u") == [Key("A", False)]  # what went down goes up
    assert typed(keyboard, b"\x1b[97;1:3u") == []
    typed(keyboard, b"\x1b[1;1:1A")
    assert keyboard.release_all() == [Key("up", False)]


def test_a_lone_escape_is_the_key_as_soon_as_nothing_follows() -> None:
    keyboard = TerminalKeyboard()
    assert typed(keyboard, b"\x1b", 1.0) == []
    assert typed(keyboard, b"", 1.0 + ESC_S / 2) == []
    assert typed(keyboard, b"", 1.0 + ESC_S)[0] == Key("esc", True, "\x1b")
    assert typed(keyboard, b"\x1b", 2.0) == [Key("esc", False)]
    assert typed(keyboard, b"[A", 2.01) == [Key("up", True)]


def test_what_follows_the_prefix_is_the_users() -> None:
    keyboard = TerminalKeyboard()
    assert typed(keyboard, b"\x1d") == []
    assert keyboard.is_commanded
    assert typed(keyboard, b"q") == [Close()]
    assert not keyboard.is_commanded
    assert typed(keyboard, b"\x1dp") == [PauseToggled()]
    assert typed(keyboard, b"\x1dz") == [Wish.STOP]
    assert typed(keyboard, b"\x1d\x1b[A") == []
    assert typed(keyboard, b"\x1d?") == []
    assert typed(keyboard, b"\x1d\x1d") == [Key("ctrl", True), Key("]", True)]
    # The keyboard tells of Ctrl itself, too.
    assert typed(keyboard, b"\x1b[57442;5:1u")[-1] == Key("ctrl", True)
    assert typed(keyboard, b"\x1b[93;5:1u\x1b[93;5:3u\x1b[57442;1:3u") == []
    assert [*typed(keyboard, b"s"), *keyboard.events(0)][-1] == Screenshot()


def test_the_windows_own_keys_do_here_what_they_do_there() -> None:
    keyboard = TerminalKeyboard()
    assert typed(keyboard, b"\x1b[20;5~") == [Close()]
    assert typed(keyboard, b"\x1b[15;5~") == [Screenshot()]
    assert typed(keyboard, b"\x1b\r")[:2] == [Key("alt", True), Key("enter", True)]


def test_a_paste_is_a_text_and_gives_no_commands() -> None:
    keyboard = TerminalKeyboard()
    text = "one é\ntwo\r\x1dq\x03\x1b\x1b[A\x1bx,\t"
    keyboard.feed(b"a\x1b[200~" + text.encode(), 0)
    assert keyboard.events(0) == [Key("a", True, "a")]
    keyboard.feed(b"!\x1b[201~b", 0)
    assert keyboard.events(0) == [
        Paste("one é\ntwo\nq,\t!"), Key("a", False), Key("b", True, "b")
    ]  # fmt: skip
    keyboard.feed(b"\x1b[200~\x1b[201~\x1b[201~", 0)
    assert keyboard.events(0) == []
    keyboard.feed(b"\x1b[200~" + b"x" * 200_000 + b"\x1b[201~", 0)
    (paste,) = keyboard.events(0)
    assert isinstance(paste, Paste)
    assert len(paste.text) == 1 << 16


def test_turbo_lasts_while_held_or_until_it_is_pressed_again() -> None:
    keyboard = TerminalKeyboard()
    assert typed(keyboard, b"\x1b[24;3~") == [Turbo(True)]
    assert typed(keyboard, b"\x1b[24;3~") == [Turbo(False)]
    assert typed(keyboard, b"\x1dt") == [Turbo(True)]
    assert typed(keyboard, b"\x1dt") == [Turbo(False)]
    assert typed(keyboard, b"\x1b[24;3:1~") == [Turbo(True)]
    assert typed(keyboard, b"\x1b[24;1:3~") == [Turbo(False)]
    assert typed(keyboard, b"\x1b[1;6P") == [SlotStep(-1)]
