"""Memory by linear addresses, as the processor in a Unicorn engine sees it.

It stands still, or is in a hook: the engine itself reads and writes nothing here.
"""

from __future__ import annotations

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.bus import A20_OPEN, Bus
from vgaemu.pc.cpu import mmu
from vgaemu.pc.cpu.mmu import Control
from vgaemu.pc.cpu.unicorn_context import CODE64, CS, Context, Env

_OFFSET = PAGE_SIZE - 1
#: Opcodes: prefixes; of what a program may use that makes the processor itself look into tables:
#: segment loads, far calls, jumps and returns, ports; after 0Fh: LAR, LSL, VERR, segment loads.
_PREFIXES = bytes.fromhex("26 2E 36 3E 64 65 66 67 F0 F2 F3")
_WITH_TABLES = bytes.fromhex(
    "07 17 1F 6C 6D 6E 6F 8E 9A C4 C5 CA CB CF E4 E5 E6 E7 EA EC ED EE EF FF"
)
_REX = 4
_WITH_TABLES_0F = bytes.fromhex("00 02 03 A1 A9 B2 B4 B5")


def _masked(linear: int, count: int, a20: int) -> list[tuple[int, int]]:
    """Physical addresses and sizes of what lies within a page each, without paging."""
    pieces = []
    while count:
        size = min(count, PAGE_SIZE - (linear & _OFFSET))
        pieces.append((linear & a20, size))
        linear, count = linear + size & 0xFFFF_FFFF, count - size
    return pieces


class LinearMemory:
    """What lies at linear addresses."""

    def __init__(self, bus: Bus, context: Context) -> None:
        """Look into an engine by a `context` that nobody else changes."""
        self._bus, self._context = bus, context
        #: As `look` found them last, and whether they are the engine's own, which need no look.
        self.env = context.loaded
        self.words = context.words
        self.in_place = context.in_place

    def look(self) -> Env:
        """The engine's registers, until somebody looks again."""
        return self._context.load()

    def read(self, control: Control, linear: int, count: int) -> bytes:
        """Load as the processor itself does, which no user bit keeps out.

        Raises:
            PageFault: There is no such page.
        """
        pieces = self._pieces(control, linear, count)
        return b"".join(self._bus.read(gpa, size) for gpa, size in pieces)

    def write(self, control: Control, linear: int, data: bytes, *, user: bool = False) -> None:
        """Store as the processor itself does, or as a program (`user`) may.

        Raises:
            PageFault: There is no such page, or it is read-only; nothing has been stored then.
        """
        at = 0
        for gpa, size in self._pieces(control, linear, len(data), write=True, user=user):
            self._bus.write(gpa, data[at : at + size])
            at += size

    def _pieces(
        self, control: Control, linear: int, count: int, *, write: bool = False, user: bool = False
    ) -> list[tuple[int, int]]:
        """Physical addresses and sizes of what lies within a page each."""
        a20 = self._bus.a20
        if not control.paging:
            linear &= 0xFFFF_FFFF
            if a20 != A20_OPEN:
                return _masked(linear, count, a20)
            first = min(count, (1 << 32) - linear)
            return [(linear, first), (0, count - first)] if first < count else [(linear, count)]
        pieces = []
        while count:
            at = linear & control.linear
            size = min(count, PAGE_SIZE - (at & _OFFSET))
            page = mmu.translate(
                self._bus.memory, control, at, write=write, user=user, mark=self._bus.stored
            )
            pieces.append(((page.at | at & _OFFSET) & a20, size))
            linear, count = linear + size, count - size
        return pieces

    def code_at(self) -> int:
        """Linear address of the next instruction."""
        env = self.look()
        if env.hflags & CODE64:
            return int(env.eip)
        offset = env.eip if env.protected else env.eip & 0xFFFF
        return env.segs[CS].base + offset & 0xFFFF_FFFF

    def code(self, offset: int, count: int) -> bytes:
        """Bytes at CS:IP + offset; 0 where no page is."""
        at = max(self.code_at() + offset, 0)
        control = self.look().control()
        if not control.paging:
            return b"".join(self._bus.read(*piece) for piece in self._pieces(control, at, count))
        return mmu.linear_reader(self._bus.memory, control)(at, count).ljust(count, b"\0")

    def uses_descriptors(self) -> bool:
        """Whether the next instruction makes the processor look into its tables."""
        code = self.code(0, 15).lstrip(_PREFIXES) + bytes(3)
        if self.env.hflags & CODE64 and code[0] >> 4 == _REX:
            code = code[1:]
        return code[1] in _WITH_TABLES_0F if code[0] == 0x0F else code[0] in _WITH_TABLES
