"""ImageEnv: a guest as an environment of gymnasium. A step is a key and some frames of its time.

Episodes begin from one snapshot, so a reset costs what was written since. Frames are drawn only for
those who look: with text or memory as what an agent sees, VRAM is read as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from vgaemu.errors import GuestError, GymError
from vgaemu.gym.rules import Rule, Sight, rule_of
from vgaemu.keys.queue import Key, key_text, split_key
from vgaemu.machine import FRAME_HZ, Machine
from vgaemu.pc import is_image
from vgaemu.signals import stops_taken

if TYPE_CHECKING:
    from vgaemu.pc.build import PcOptions

INTEGERS = (int, np.integer)
#: What an agent may see.
OBSERVATIONS, PICTURES = ("rgb", "gray", "text", "ram"), ("rgb", "gray")
RENDER_MODES = ("rgb_array", "ansi", "human")
#: Bytes of memory that an agent sees if nobody says: all below the VGA.
RAM_RANGE = (0, 0xA0000)

Observation = NDArray[np.uint8]


class ImageEnv(gymnasium.Env[Observation, np.int64]):
    """A guest in machine code, played by its keyboard.

    Args:
        image: What `vgaemu run` takes: a disk image, a program, a kernel.
        keys: Actions: the key that each strikes (``"up"``, ``"ctrl-c"``), or None for nothing. None
            is struck while the guest has not taken the last one, as far as its memory tells.
        frame_skip: 60ths of a second of the guest's time that a step takes.
        obs: What is seen. ``"rgb"``: (height, width, 3) uint8; ``"gray"``: luma, (height, width);
            ``"text"``: (rows, columns) uint8, characters of code page 437, 0 in graphics modes;
            ``"ram"``: (n,) uint8. Sizes are those of the first screen; of another mode what fits.
        reward: What a step gains: an expression, or a function of a `vgaemu.gym.rules.Sight`.
        terminated: Whether the episode is over, likewise; it is, too, when the guest ends.
        state: A state file to begin episodes from; else it boots.
        boot_frames: Frames from power on, or from that state, to where episodes begin.
        ram_range: First address of what ``"ram"`` shows, and the one after its last.
        seed_at: Places in memory that get random bytes at each reset: address, and how many.
        hold: Hold an action's key until another action, instead of striking it.
        render_mode: ``"rgb_array"``, ``"ansi"`` or ``"human"``.
        **options: For machine code: see `vgaemu.pc.build.PcOptions`.

    The seed of `reset` sets the BIOS's ticks, the clock, and what `seed_at` names; without one,
    each episode has other numbers of the same sequence.

    Raises:
        GymError: An argument is none of those; a rule fails at the first screen.
        KeysError: There is no such key.
        VgaemuError: There is no such machine.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012  # as gymnasium has it
        "render_modes": [*RENDER_MODES],
        "render_fps": FRAME_HZ,
    }

    def __init__(
        self,
        image: str | PathLike[str],
        keys: Sequence[str | None] = (None,),
        frame_skip: int = 4,
        obs: str = "rgb",
        reward: str | Rule = "0",
        terminated: str | Rule = "False",
        state: str | PathLike[str] | None = None,
        *,
        boot_frames: int = 60,
        ram_range: tuple[int, int] = RAM_RANGE,
        seed_at: Sequence[tuple[int, int]] = (),
        hold: bool = False,
        render_mode: str | None = None,
        **options: Unpack[PcOptions],
    ) -> None:
        _check("obs", obs, OBSERVATIONS)
        if render_mode is not None:
            _check("render_mode", render_mode, RENDER_MODES)
        _check_number("frame_skip", frame_skip, 1)
        _check_number("boot_frames", boot_frames, 0)
        if isinstance(keys, str) or not keys or not all(isinstance(k, str | None) for k in keys):
            raise GymError(f"keys={keys!r}: a list of names of keys, an action each")
        for key in keys:
            if key is not None:
                key_text(key)
        self._keys, self._frame_skip, self._obs, self._hold = tuple(keys), frame_skip, obs, hold
        if not _is_pair(ram_range):
            raise GymError(f"ram_range={ram_range!r}: two addresses, the first and the one after")
        if not all(map(_is_pair, seed_at)):
            raise GymError(f"seed_at={seed_at!r}: pairs of an address and a number of bytes")
        self._ram_range, self._seed_at = ram_range, seed_at
        rules = rule_of("reward", reward), rule_of("terminated", terminated)
        self._reward, self._terminated = rules
        self.render_mode = render_mode
        #: Whether somebody looks at frames; else what they change is not drawn.
        self._is_drawn = obs in PICTURES or render_mode in ("rgb_array", "human")
        self.metadata = self.metadata | {"render_fps": FRAME_HZ / frame_skip}
        if not is_image(image):
            raise GymError(f"image={str(image)!r}: no machine code, such as a disk image")
        self.machine = Machine(str(image), **options)
        try:
            self._boot(state, boot_frames)
        except BaseException:
            self.machine.close()
            raise

    def _boot(self, state: str | PathLike[str] | None, frames: int) -> None:
        machine = self.machine
        if state is not None:
            machine.load_state(str(state))
        if frames:
            machine.tick(frames)
        self._held: str | None = None
        self._sight = Sight(machine)
        self._sight.begin()
        self._judge()  # rules that fail, fail here
        self._start = machine.snapshot()
        self._shape: tuple[int, ...] | None = None
        seen = self._look()
        self._shape = seen.shape
        self.action_space = spaces.Discrete(len(self._keys))
        self.observation_space = spaces.Box(0, 255, seen.shape, np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Go back to where episodes begin, with other random numbers; `options` are none.

        Raises:
            GymError: Options that are no dict.
        """
        check_reset_options(options)
        super().reset(seed=seed)
        self.machine.restore(self._start)
        self._held = None
        self._seed_guest()
        self._sight.begin()
        self._reward(self._sight)  # what is gained later, is gained from here on
        if self.render_mode == "human":
            self._show()
        return self._look(), {"frames": 0}

    def _seed_guest(self) -> None:
        pc, numbers = self.machine.pc, self.np_random
        assert pc is not None
        pc.begin_by_chance(numbers)
        for address, nbytes in self._seed_at:
            self.machine.ram[address : address + nbytes] = numbers.bytes(nbytes)

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Strike a key, and let the guest run.

        Returns:
            What is seen, what was gained, whether the episode is over, False, and ``frames`` since
            it began, with ``fault`` if the guest ended so.

        Raises:
            GymError: There is no such action.
        """
        if not self.action_space.contains(action):
            raise GymError(f"action {action!r}: 0 to {len(self._keys) - 1}")
        self._strike(self._keys[int(action)])
        sight = self._sight
        info: dict[str, Any] = {}
        try:
            self._run()
        except GuestError as fault:
            info["fault"] = str(fault)
        sight.steps += 1
        reward = self._judge()
        info["frames"] = sight.steps * self._frame_skip
        return self._look(), reward, sight.terminated, False, info

    def _judge(self) -> float:
        sight = self._sight
        sight.look()
        sight.terminated = bool(self._terminated(sight)) or self.machine.ended
        gained = self._reward(sight)
        try:
            return float(gained)
        except TypeError:
            raise GymError(f"reward: it returned {gained!r}, which is no number") from None

    def _strike(self, key: str | None) -> None:
        keys, pc = self.machine.keys, self.machine.pc
        assert pc is not None
        if not self._hold:
            # Of keys that a game has not asked for yet, it would do what was wanted long ago; one
            # that waits when it is over would start the next.
            if key is not None and not len(keys) and not pc.untaken_keys:
                keys.press(key)
            return
        if key == self._held:
            return
        if self._held is not None:
            for name in reversed(_parts(self._held)):
                keys.put(Key(name, False))
        self._held = key
        if key is not None:
            *held, last = _parts(key)
            for name in held:
                keys.put(Key(name, True))
            keys.put(Key(last, True, key_text(key)))

    def _run(self) -> None:
        machine = self.machine
        if self.render_mode == "human":
            machine.run(machine.frames + self._frame_skip, stay=False)
            return
        if self._is_drawn:
            machine.tick(self._frame_skip)
            return
        runner = machine.runner
        with stops_taken():
            for _ in range(self._frame_skip):
                runner.run_frame()
        if runner.error is not None:
            raise runner.error

    def _look(self) -> Observation:
        if self._obs == "ram":
            return np.frombuffer(self.machine.ram[slice(*self._ram_range)], np.uint8).copy()
        seen = self._text() if self._obs == "text" else self._picture()
        return seen if self._shape in (None, seen.shape) else self._fitted(seen)

    def _text(self) -> Observation:
        codes = self._sight.codes
        return codes.copy() if codes.size else np.zeros(self._shape or (25, 80), np.uint8)

    def _picture(self) -> Observation:
        screen = self.machine.screen
        return screen.rgb() if self._obs == "rgb" else np.array(screen.image().convert("L"))

    def _fitted(self, seen: Observation) -> Observation:
        """What of another mode's picture is as large as the first screen, from its upper left."""
        assert self._shape is not None
        fitted = np.zeros(self._shape, np.uint8)
        height, width, *_ = (min(sizes) for sizes in zip(self._shape, seen.shape, strict=True))
        fitted[:height, :width] = seen[:height, :width]
        return fitted

    def render(self) -> Any:
        """The picture, (height, width, 3) uint8, or its text; a window shows itself.

        Raises:
            DisplayError: The window cannot be opened.
        """
        if self.render_mode == "rgb_array":
            return self.machine.screen.rgb()
        if self.render_mode == "ansi":
            return "".join(f"{row}\n" for row in self._sight.text)
        if self.render_mode == "human":
            self._show()
        return None

    def _show(self) -> None:
        """Open the window, if it is not open; show what there is."""
        if not self.machine.display.can_be_closed:
            from vgaemu.display.window.window import WindowDisplay  # brings pygame

            self.machine.add_display(WindowDisplay())
        self.machine.draw_frame()

    def close(self) -> None:
        """Stop the guest and close its window; twice is fine."""
        self.machine.close()


def check_reset_options(options: object) -> None:
    """Options of a reset: a dict, whatever is in it.

    Raises:
        GymError: They are something else.
    """
    if not isinstance(options, dict | None):
        raise GymError(f"options={options!r}: a dict, or None")


def _check(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise GymError(f"{name}={value!r}: there are {', '.join(known)}")


def _check_number(name: str, number: int, least: int) -> None:
    if not isinstance(number, INTEGERS) or number < least:
        raise GymError(f"{name}={number!r}: a whole number, at least {least}")


def _is_pair(said: object) -> bool:
    """Whether it is two whole numbers."""
    return (
        isinstance(said, Sequence) and len(said) == 2 and all(isinstance(n, INTEGERS) for n in said)
    )


def _parts(key: str) -> list[str]:
    held, last = split_key(key)
    return [*held, last]
