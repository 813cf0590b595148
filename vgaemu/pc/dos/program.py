"""A .COM program in memory: environment, program segment prefix, registers.

Emulated: COMSPEC, PATH and the program's name; of the prefix INT 20h, the end of memory, the
environment, a call of INT 21h, empty FCBs and the command line. Not emulated: the handles' table,
parents, overlays.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

from vgaemu.errors import ImageError
from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu.cpu import INTERRUPT, Cpu
from vgaemu.pc.dos.memory import ENVIRONMENT, PREFIX, TOP
from vgaemu.pc.images import ComProgram

MAX_COMMAND_LINE = 126


def load_program(bus: Bus, cpu: Cpu, program: ComProgram) -> None:
    """Put a program into memory, and registers as DOS leaves them.

    Raises:
        ImageError: The arguments are longer than a command line.
    """
    at, prefix = PREFIX << 4, _prefix(_command_line(program))
    bus.write(ENVIRONMENT << 4, _environment(program.path.name))
    bus.write(at, prefix)
    bus.write(at + 0x100, program.data)
    bus.write16(at + 0xFFFE, 0)  # RET goes to the INT 20h
    for segment in ("cs", "ds", "es", "ss"):
        cpu.set(segment, PREFIX)
    for register, value in (
        ("eax", 0), ("ecx", 0xFF), ("edx", PREFIX), ("esi", 0x100), ("edi", 0xFFFE),
        ("esp", 0xFFFE), ("eip", 0x100), ("eflags", INTERRUPT | 2),
    ):  # fmt: skip
        cpu.set(register, value)


def _command_line(program: ComProgram) -> bytes:
    tail = "".join(f" {arg}" for arg in program.args).encode("cp437", "replace")
    if len(tail) > MAX_COMMAND_LINE:
        raise ImageError(
            f"{program.path}: arguments of {len(tail)} bytes; "
            f"a command line takes {MAX_COMMAND_LINE}"
        )
    return tail


def _environment(file_name: str) -> bytes:
    name = f"C:\\{file_name.upper()}".encode("cp437", "replace")
    return b"COMSPEC=C:\\COMMAND.COM\0PATH=C:\\\0\0\x01\0" + name[:80] + b"\0"


def _prefix(command_line: bytes) -> bytes:
    prefix = bytearray(256)
    prefix[0:2] = b"\xcd\x20"  # int 20h
    prefix[2:4] = TOP.to_bytes(2, "little")
    prefix[0x2C:0x2E] = ENVIRONMENT.to_bytes(2, "little")
    prefix[0x50:0x53] = b"\xcd\x21\xcb"  # int 21h; retf
    prefix[0x5D:0x68] = prefix[0x6D:0x78] = b" " * 11
    prefix[0x80] = len(command_line)
    prefix[0x81 : 0x82 + len(command_line)] = command_line + b"\r"
    return bytes(prefix)
