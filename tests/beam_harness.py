"""vgaemu's VGA as `beam_model` takes it, and pictures of both compared dot by dot."""

from __future__ import annotations

import numpy as np
import vram_planes
from beam_model import picture
from beam_registers import Access, Registers
from numpy.typing import NDArray

from vgaemu import Machine
from vgaemu.display.screen import blink_shown
from vgaemu.pc.clock import Clock
from vgaemu.pc.cpu.cpu import Cpu
from vgaemu.pc.debug import PortTail
from vgaemu.vga.device import Vga


def registers_of(vga: Vga) -> Registers:
    """What its registers hold now."""
    dac = vga.dac
    rgb = dac.rgb().astype(np.uint32)
    return Registers(
        misc=vga.misc.values[0],
        sequencer=list(vga.sequencer.values).copy() + [0] * 8,
        crtc=list(vga.crtc.values).copy(),
        graphics=list(vga.graphics.values).copy() + [0] * 16,
        attribute=list(vga.attribute.values).copy() + [0] * 32,
        dac=rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2],
        mask=dac.mask,
        sequencer_index=vga.sequencer.index,
        crtc_index=vga.crtc.index,
        graphics_index=vga.graphics.index,
        attribute_index=vga.attribute_address,
        attribute_data=vga.attribute_takes_data,
        dac_index=dac.index,
        dac_triple=list(dac.triple),
        dac_step=dac.step,
    )


def planes_of(vga: Vga) -> NDArray[np.uint8]:
    """The four planes, (4, 65536) uint8."""
    return vram_planes.planes_of(vga).T.copy()


def differences(drawn: NDArray[np.uint32], model: NDArray[np.uint32]) -> str:
    """How vgaemu's picture differs from the model's dots; nothing: it does not.

    vgaemu's rows and pixels are repeated by whole numbers until they are dots.
    """
    down, across = model.shape[0] // drawn.shape[0], model.shape[1] // drawn.shape[1]
    dots = drawn.repeat(down, 0).repeat(across, 1)
    if dots.shape != model.shape:
        return f"{drawn.shape} is no part of {model.shape}"
    wrong = dots != model
    if not wrong.any():
        return ""
    lines = np.flatnonzero(wrong.any(1))
    line, dot = np.argwhere(wrong)[0]
    return (
        f"{wrong.sum()} dots in {len(lines)} lines from {lines[0]} to {lines[-1]}; "
        f"the first at line {line}, dot {dot}: {dots[line, dot]:06x}, not {model[line, dot]:06x}"
    )


class Tap(PortTail):
    """All accesses to the ports of a VGA, with their time; `start` begins anew."""

    def follow(self, cpu: Cpu, clock: Clock) -> None:
        self.clock = clock
        self.accesses: list[Access] = []

    def note(self, direction: str, port: int, size: int, value: int) -> None:
        if not 0x3B0 <= port <= 0x3DF:
            return
        if direction == "in" and self.accesses and self.accesses[-1][1:3] == (direction, port):
            return  # of many looks in a row one resets the flip-flop
        self.accesses.append(Access(self.clock.now_ns(), direction, port, size, value))

    def start(self, machine: Machine) -> None:
        """From here on, between two frames."""
        self.accesses.clear()
        self.registers = registers_of(machine.vga)


def expected(machine: Machine, tap: Tap, *, border: bool = False) -> NDArray[np.uint32]:
    """The model's picture of a machine that has just drawn a frame."""
    return picture(
        tap.registers,
        tap.accesses,
        planes_of(machine.vga),
        tap.clock.now_ns(),
        blink_shown=blink_shown(machine.screen.frame_number),
        border=border,
    )
