"""What a terminal sends, taken apart: keys by the names of `vgaemu.keys`, pastes, and answers.

Pure: bytes in, tokens and names out. A terminal tells of keys that go down only, and of few
modifiers; one that speaks kitty's keyboard protocol tells of every key and its release.

Sources: ECMA-48 5.4 (CSI), xterm's ctlseqs ("Special Keyboard Keys"), console_codes(4), kitty's
keyboard protocol.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from vgaemu.keys.queue import key_text, split_key
from vgaemu.keys.table import CHARACTER_NAMES

#: One thing that a terminal sends: a key of the Linux console, CSI, SS3, a string, a character
#: with ESC (alt) before it or without.
_TOKEN = re.compile(
    rb"\x1b{0,2}\[\[[A-E]"
    rb"|\x1b{1,2}\[[0-?]*[ -/]*[@-~]"
    rb"|\x1b{1,2}O[0-9;]*[@-~]"
    rb"|\x1b[P_\]^X][^\x1b\x07]*(?:\x1b\\|\x07)"
    rb"|\x1b?(?:[\x00-\x1a\x1c-\x7f]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}"
    rb"|[\xf0-\xf4][\x80-\xbf]{3})"
)
#: The beginning of one: more may come.
_BEGINNING = re.compile(
    rb"\x1b{1,2}(?:\[\[?[0-?]*[ -/]*|O[0-9;]*)?"
    rb"|\x1b[P_\]^X][^\x1b\x07]*\x1b?"
    rb"|\x1b?(?:[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})"
)
#: No answer is longer; what goes on and on is none.
MAX_TOKEN_BYTES = 4096

#: Last byte of CSI and SS3 -> key.
_BY_FINAL = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end",
    "P": "f1", "Q": "f2", "R": "f3", "S": "f4", "Z": "shift-tab",
}  # fmt: skip
#: The keypad, in application mode (SS3).
_BY_SS3 = _BY_FINAL | {"M": "enter", "I": "tab"}
_BY_SS3 |= {chr(ord(sign) + 0x40): CHARACTER_NAMES.get(sign, sign) for sign in "*+,-./0123456789"}
#: Number before ``~``.
_BY_NUMBER = {
    1: "home", 2: "insert", 3: "delete", 4: "end", 5: "pageup", 6: "pagedown", 7: "home", 8: "end",
    11: "f1", 12: "f2", 13: "f3", 14: "f4", 15: "f5", 17: "f6", 18: "f7", 19: "f8", 20: "f9",
    21: "f10", 23: "f11", 24: "f12", 29: "menu",
}  # fmt: skip
_LINUX_F = {letter: f"f{n}" for n, letter in enumerate("ABCDE", 1)}
_CONTROLS = {0x08: "backspace", 0x09: "tab", 0x0D: "enter", 0x1B: "esc", 0x7F: "backspace"}
_CONTROLS |= {0x00: "ctrl-space"} | {n: f"ctrl-{chr(n + 0x60)}" for n in range(1, 27)} | _CONTROLS
_CONTROLS |= {0x1C: "ctrl-\\", 0x1D: "ctrl-]", 0x1E: "ctrl-6", 0x1F: "ctrl-minus"}

#: Kitty's numbers of keys that type nothing.
_BY_KITTY = {
    27: "esc", 13: "enter", 9: "tab", 127: "backspace",
    57358: "capslock", 57359: "scrolllock", 57360: "numlock", 57361: "print", 57362: "pause",
    57363: "menu", 57414: "enter", 57417: "left", 57418: "right", 57419: "up", 57420: "down",
    57421: "pageup", 57422: "pagedown", 57423: "home", 57424: "end", 57425: "insert",
    57426: "delete", 57441: "shift", 57442: "ctrl", 57443: "alt", 57447: "shift", 57448: "ctrl",
    57449: "alt",
}  # fmt: skip
_BY_KITTY |= {
    57399 + n: CHARACTER_NAMES.get(sign, sign) for n, sign in enumerate("0123456789./*-+")
}
#: Bits of the number of modifiers, less one.
MODIFIER_BITS = ((4, "ctrl"), (2, "alt"), (1, "shift"))


class Press(NamedTuple):
    """A key went down, repeats, or went up."""

    #: As `vgaemu.keys.queue` names it, without modifiers.
    name: str
    #: What it types, or an empty string.
    text: str
    #: Of `MODIFIER_BITS`, those that are down.
    held: tuple[str, ...]
    released: bool = False
    #: Which key it is, whatever it types; 0: its release will not be told.
    code: int = 0


class Answer(NamedTuple):
    """The terminal answers a question, or says something of its own."""

    #: ``c`` (attributes), ``u`` (keyboard), ``t`` (sizes), ``I`` and ``O`` (focus), ``G`` (images).
    kind: str
    numbers: tuple[int, ...] = ()
    text: str = ""


class PasteEdge(NamedTuple):
    """What comes now was not typed but pasted; or no more."""

    begins: bool


Token = Press | Answer | PasteEdge


def split(data: bytes, *, all_of_it: bool = False) -> tuple[list[bytes], bytes]:
    r"""What a terminal sent, one thing each, and the beginning of one that is not whole yet.

    Args:
        data: The bytes; what makes no sense is left out.
        all_of_it: No more will come: a lone ESC is the key.

    >>> split(b"a\x1b[A\x1bx\x1b"), split(b"\x1b[", all_of_it=True)
    (([b'a', b'\x1b[A', b'\x1bx'], b'\x1b'), ([b'\x1b['], b''))
    """
    tokens: list[bytes] = []
    at = 0
    while at < len(data):
        token = _TOKEN.match(data, at)
        if token is None and not all_of_it and len(data) - at < MAX_TOKEN_BYTES:
            beginning = _BEGINNING.fullmatch(data, at)
            if beginning is not None:
                return tokens, data[at:]
        if token is not None:
            tokens.append(token.group())
            at = token.end()
        elif data[at] == 0x1B:
            alone = data[at + 1 : at + 2] in (b"", b"\x1b") or data[at + 1] >= 0x80
            end = at + 1 if alone else at + 2
            tokens.append(data[at:end])
            at = end
        else:
            at += 1
    return tokens, b""


def read(token: bytes) -> Token | None:
    r"""What one thing of `split` says; None: nothing that is known.

    >>> read(b"\x1b[1;5A")
    Press(name='up', text='', held=('ctrl',), released=False, code=0)
    >>> read("é".encode()).text, read(b"\x1bx").held, read(b"\x03")[:3]
    ('é', ('alt',), ('c', '\x03', ('ctrl',)))
    """
    if token[:2] == b"\x1b_":
        head, _, said = token[2:-2].decode("ascii", "replace").partition(";")
        return Answer("G", text=said) if head[:1] == "G" else None
    if token[:3] == b"\x1b[[" and len(token) == 4:
        return Press(_LINUX_F[chr(token[3])], "", ())
    if len(token) > 2 and token[:2] == b"\x1b\x1b":  # alt with a key that sends a sequence
        return _with_alt(read(token[1:]))
    if len(token) > 2 and token[:1] == b"\x1b" and token[1:2] in (b"[", b"O"):
        return _sequence(token[1:2], token[2:].decode("ascii", "replace"))
    if len(token) > 2 and token[:1] == b"\x1b" and token[1:2] in b"P]^X":
        return None
    if len(token) > 1 and token[:1] == b"\x1b":
        return _with_alt(_character(token[1:].decode()))
    return _character(token.decode())


def _with_alt(token: Token | None) -> Token | None:
    if not isinstance(token, Press):
        return None
    return token._replace(text="", held=_held(_bits(token.held) | 2))


def _bits(held: tuple[str, ...]) -> int:
    return sum([bit for bit, name in MODIFIER_BITS if name in held])


def _held(bits: int) -> tuple[str, ...]:
    return tuple([name for bit, name in MODIFIER_BITS if bits & bit])


def _named(name: str) -> Press:
    """A key by a name that may begin with modifiers."""
    held, key = split_key(name)
    return Press(key, key_text(name), tuple(held))


def _character(character: str) -> Press | None:
    code = ord(character)
    if code in _CONTROLS:
        return _named(_CONTROLS[code])
    if not character.isprintable():
        return None
    return Press(CHARACTER_NAMES.get(character, character), character, ())


def _sequence(introducer: bytes, rest: str) -> Token | None:
    """CSI or SS3 with its parameters and its last byte."""
    parameters, final = rest[:-1], rest[-1]
    if parameters[:1] == "?":
        return Answer(final, _numbers(parameters[1:])) if final in "cu" else None
    if introducer == b"[" and (final == "t" or (final in "IO" and not parameters)):
        return Answer(final, _numbers(parameters))
    return _key(introducer == b"O", parameters, final)


class _Fields(NamedTuple):
    """Parameters of a key's sequence; what is not there is 1, as ECMA-48 has it."""

    number: int
    #: A bit each (`MODIFIER_BITS`).
    modifiers: int
    #: Whether events are told, which only kitty's protocol does: then releases are, too.
    tells: bool
    released: bool
    text: str


def _fields_of(parameters: str) -> _Fields:
    number, how, text = (
        _numbers(field.replace(":", ";")) for field in (*parameters.split(";", 2), "", "")[:3]
    )
    modifiers, event = (*how, 1, 1)[:2]
    typed = "".join([chr(n) for n in text if n < 0x110000])
    return _Fields((*number, 1)[0], max(modifiers - 1, 0), ":" in parameters, event == 3, typed)


def _key(is_ss3: bool, parameters: str, final: str) -> Press | PasteEdge | None:
    """A key by its number, or by its last byte, with its modifiers."""
    fields = _fields_of(parameters)
    if final == "~" and fields.number in (200, 201):
        return PasteEdge(fields.number == 200)
    if final == "u" and not is_ss3:
        return _kitty(fields)
    finals = _BY_SS3 if is_ss3 else _BY_FINAL
    name = _BY_NUMBER.get(fields.number) if final == "~" else finals.get(final)
    if name is None:
        return None
    press = _named(name)
    held = _held(_bits(press.held) | fields.modifiers)
    which = fields.number if final == "~" else -ord(final)
    return press._replace(held=held, released=fields.released, code=which * fields.tells)


def _numbers(parameters: str) -> tuple[int, ...]:
    """Numbers with semicolons between; an omitted one is 1, and none is longer than six digits."""
    if not parameters:
        return ()
    return tuple([int(part[:6]) if part.isdecimal() else 1 for part in parameters.split(";")])


def _kitty(fields: _Fields) -> Press | None:
    """A key of kitty's protocol."""
    code, held = fields.number, _held(fields.modifiers)
    if code in _BY_KITTY:
        return _named(_BY_KITTY[code])._replace(held=held, released=fields.released, code=code)
    key = chr(code) if code < 0xD800 else "\0"  # a surrogate, or a key that types nothing
    if not key.isprintable():
        return None
    text = fields.text if len(fields.text) == 1 and fields.text.isprintable() else ""
    name = text or key
    if "ctrl" in held or "alt" in held:
        name = key
        letter = "ctrl" in held and key.isascii() and key.isalpha()
        text = chr(code & 0x1F) if letter else ""
    return Press(CHARACTER_NAMES.get(name, name), text, held, fields.released, code)
