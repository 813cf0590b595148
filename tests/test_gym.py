"""Environments for agents: vgaemu.gym, and the examples that learn and play with it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("unicorn")

import gymnasium
from gymnasium.utils.env_checker import check_env

import vgaemu
import vgaemu.gym
from vgaemu import GymError, KeysError, Machine
from vgaemu.assets import guests
from vgaemu.gym.env import ImageEnv
from vgaemu.gym.rules import Sight, rule_of
from vgaemu.gym.vector import ImageVectorEnv

pytestmark = pytest.mark.turns(2)

ROOT = Path(__file__).parents[1]
SNAKE = str(guests() / "snake.img")
PLASMA = str(guests() / "plasma.img")
GRANITE = str(ROOT / "examples" / "testing" / "granite" / "granite32.elf")
UP, DOWN, LEFT, RIGHT = range(4)


@pytest.fixture
def snake():
    env = gymnasium.make("vgaemu/Snake-v0")
    yield env
    env.close()


def steps(env, actions):
    """What each step gives."""
    return [env.step(action) for action in actions]


@pytest.mark.parametrize("obs", ["text", "ram", "gray", "rgb"])
@pytest.mark.turns(2)
def test_gymnasiums_own_check(obs, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    options = {"obs": obs, "keys": ("up", "down", None), "boot_frames": 2}
    env = gymnasium.make("vgaemu/Image-v0", image=SNAKE, **options)
    check_env(env.unwrapped, skip_render_check=obs != "text")
    env.close()


def test_what_is_seen_is_the_screen(snake):
    seen, info = snake.reset(seed=1)
    assert (seen.shape, seen.dtype, info) == ((25, 80), np.uint8, {"frames": 0})
    text = snake.unwrapped.machine.screen.text()
    assert seen.tobytes().decode("cp437")[80:160] == text[1].replace("▒", "▒")
    assert (seen[[0, 24], 0] == 0xB1).all()
    seen, *_, info = snake.step(UP)
    assert info == {"frames": 4}


def test_a_diamond_is_a_gain_and_the_wall_the_end(snake):
    snake.reset(seed=1)
    machine = snake.unwrapped.machine
    # A diamond in its way.
    place = int.from_bytes(machine.ram[0x7E0A:0x7E0C], "little")
    machine.vga.store(0xB8000 + place + 3 * 2, b"\x04\x0e")
    rewards = [reward for _, reward, *_ in steps(snake, [RIGHT] * 8)]
    assert sorted(rewards) == [0] * 7 + [1]
    found = []
    while not found or not found[-1][2]:
        found += steps(snake, [RIGHT])
        assert len(found) < 200
    *_, (seen, reward, over, cut, _) = found
    assert (reward, over, cut) == (-1, True, False)
    assert b"Game over" in seen.tobytes()
    snake.reset()
    assert snake.step(UP)[2] is False


def test_a_seed_says_it_all_and_each_episode_has_its_own():
    def episodes(env, seed):
        found = []
        for number in range(3):
            env.reset(seed=seed if number == 0 else None)
            machine = env.unwrapped.machine
            at = machine.ram[0x7E0C:0x7E0E]
            ticks = machine.ram[0x46C:0x470]
            seen = [step[0].tobytes() for step in steps(env, [UP, LEFT, DOWN])]
            found.append((at, ticks, machine.pc.board.cmos.ahead_s, seen))
        return found

    with gymnasium.make("vgaemu/Snake-v0") as one, gymnasium.make("vgaemu/Snake-v0") as other:
        first, again = episodes(one, 7), episodes(other, 7)
        assert first == again == episodes(one, 7)
        assert len({episode[:3] for episode in first}) == 3
        assert episodes(one, 8) != first


def test_a_step_is_what_a_machine_does_in_so_many_frames():
    with gymnasium.make("vgaemu/Snake-v0", frame_skip=10) as snake:
        snake.reset(seed=3)
        saved = snake.unwrapped.machine.snapshot().to_bytes()
        seen = [step[0] for step in steps(snake, [UP, UP, LEFT, DOWN] * 3)]
    with Machine(SNAKE) as machine:
        machine.load_state(BytesIO(saved))
        for shown, key in zip(seen, ["up", "up", "left", "down"] * 3, strict=True):
            machine.keys.press(key)
            machine.tick(10)
            assert (machine.screen.cells().astype(np.uint8) == shown).all()


def test_keys_do_not_pile_up_before_a_game_that_is_slower(snake):
    snake.reset(seed=1)
    waiting = []
    for _ in range(30):
        snake.step(RIGHT)
        waiting.append(snake.unwrapped.machine.pc.untaken_keys)
    assert max(waiting) == 1


def test_pictures_are_those_of_the_machine():
    options = {"image": SNAKE, "keys": ("up", None), "boot_frames": 20}
    with ImageEnv(obs="rgb", **options) as env, ImageEnv(obs="gray", **options) as gray:
        env.reset(seed=1)
        gray.reset(seed=1)
        for action in (0, 1, 1):
            seen, luma = env.step(action)[0], gray.step(action)[0]
        assert (seen == env.machine.screen.rgb()).all()
        assert seen.shape == (400, 720, 3)
        exact = seen @ np.array([0.299, 0.587, 0.114])
        assert np.abs(luma - exact).max() < 2


def test_another_mode_shows_what_fits():
    options = {"image": PLASMA, "boot_frames": 0}
    with ImageEnv(obs="rgb", **options) as env, ImageEnv(obs="text", **options) as text:
        assert env.observation_space.shape == (400, 720, 3)
        env.reset(seed=1)
        text.reset(seed=1)
        for _ in range(3):
            seen, codes = env.step(0)[0], text.step(0)[0]
        assert env.machine.screen.info.mode_name == "320x200x256"
        assert (seen[:200, :320] == env.machine.screen.rgb()).all()
        assert not seen[200:].any()
        assert not seen[:, 320:].any()
        assert not codes.any()


def test_memory_is_seen_as_it_is():
    with ImageEnv(SNAKE, ("up",), obs="ram", ram_range=(0x7E00, 0x7E10)) as env:
        seen, _ = env.reset(seed=1)
        assert seen.tobytes() == env.machine.ram[0x7E00:0x7E10]


def test_a_key_may_be_held():
    with ImageEnv(SNAKE, ("up", "ctrl-left", None), hold=True) as env:
        env.reset(seed=1)
        down = []
        for action in (0, 0, 1, 2):
            env.step(action)
            down.append(env.machine.keys.down)
        assert down == [["up"], ["up"], ["ctrl", "left"], []]
        env.step(0)
        env.reset()
        assert env.machine.keys.down == []


def test_what_changes_in_the_first_step_is_gained():
    with ImageEnv(SNAKE, reward="gained(word(0x7E04))", frame_skip=1) as env:
        for _ in range(2):
            env.reset(seed=1)
            env.machine.ram[0x7E04] = 5
            assert [step[1] for step in steps(env, [0, 0])] == [5, 0]


def test_episodes_may_begin_from_a_state(tmp_path):
    path = tmp_path / "at.npz"
    with Machine(SNAKE) as machine:
        machine.tick(90)
        machine.ram[0x7E04] = 42
        machine.save_state(path)
    with ImageEnv(SNAKE, state=path, boot_frames=0, obs="ram", ram_range=(0x7E04, 0x7E06)) as env:
        assert env.reset(seed=1)[0].tolist() == [42, 0]


def test_a_guest_that_ends_or_fails_ends_the_episode():
    keys, options = (*"crash", "enter"), {"boot_frames": 2, "obs": "text", "frame_skip": 1}
    with ImageEnv(GRANITE, keys, **options) as env:
        env.reset(seed=1)
        found = steps(env, range(6))
        assert [step[2] for step in found] == [False] * 5 + [True]
        assert "triple fault" in found[-1][4]["fault"]
        env.reset()
        assert env.step(0)[2] is False


def test_text_is_rendered_as_text():
    with gymnasium.make("vgaemu/Snake-v0", render_mode="ansi") as env:
        env.reset(seed=1)
        shown = env.render()
        assert shown.count("\n") == 25
        assert "♦" in shown


def test_a_window_shows_itself(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with gymnasium.make("vgaemu/Snake-v0", render_mode="human") as env:
        env.reset(seed=1)
        env.step(UP)
        assert env.render() is None
        assert env.unwrapped.machine.display.can_be_closed
        assert env.unwrapped.metadata["render_fps"] == 15


def lives(sight: Sight) -> float:
    return sight.gained(sight.word(0x7E04)) - 0.5


def test_rules_are_expressions_or_functions_and_are_pickled():
    with ImageEnv(SNAKE, reward=lives, terminated=lambda sight: sight.steps == 2) as env:
        env.reset(seed=1)
        found = steps(env, [0, 0])
        assert [step[1:3] for step in found] == [(-0.5, False), (-0.5, True)]
    said = "gained(dword(0x7E04)) + any('x' in row for row in text) + (ram[0x7E04] == steps)"
    with ImageEnv(SNAKE, reward=said) as env:
        env.reset(seed=1)
        assert env.step(0)[1] == 0
    spec = pickle.loads(pickle.dumps(gymnasium.spec("vgaemu/Snake-v0")))
    assert spec.id == "vgaemu/Snake-v0"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"obs": "sound"}, "obs='sound': there are rgb, gray, text, ram"),
        ({"render_mode": "hologram"}, "render_mode='hologram': there are rgb_array, ansi, human"),
        ({"frame_skip": 0}, "frame_skip=0: a whole number, at least 1"),
        ({"boot_frames": -1}, "boot_frames=-1: a whole number, at least 0"),
        ({"keys": "up"}, "keys='up': a list of names of keys, an action each"),
        ({"frame_skip": 1.5}, "frame_skip=1.5: a whole number, at least 1"),
        ({"frame_skip": "4"}, "frame_skip='4': a whole number, at least 1"),
        ({"keys": ("up", 1)}, "keys=('up', 1): a list of names of keys, an action each"),
        ({"ram_range": "ab"}, "ram_range='ab': two addresses, the first and the one after"),
        ({"seed_at": (0x500, 4)}, "seed_at=(1280, 4): pairs of an address and a number of bytes"),
        ({"reward": lambda guest: None}, "reward: it returned None, which is no number"),
        ({"keys": ()}, "keys=(): a list of names of keys, an action each"),
        ({"reward": "1 +"}, "reward='1 +': no expression of Python: "),
        ({"reward": "score"}, "reward='score': NameError: name 'score' is not defined"),
        ({"reward": "open('x')"}, "reward=\"open('x')\": NameError: "),
        ({"terminated": "ram[1 << 40]"}, "terminated='ram[1 << 40]': RamError: "),
        ({"image": "typing"}, "image='typing': no machine code, such as a disk image"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(options, told):
    with pytest.raises(GymError) as caught:
        ImageEnv(**({"image": SNAKE} | options))
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("action", [-1, 1, "up", 0.5, None])
def test_actions_that_there_are_not(action):
    with ImageEnv(SNAKE, (None,), boot_frames=0, obs="ram", ram_range=(0, 1)) as env:
        env.reset(seed=1)
        with pytest.raises(GymError, match=rf"^action {action!r}: 0 to 0$"):
            env.step(action)
        assert env.step(np.int64(0))[4] == {"frames": 4}


def test_keys_that_there_are_not():
    with pytest.raises(KeysError, match="no key named 'upwards'"):
        ImageEnv(SNAKE, ("upwards",))


def test_what_was_gained_counts_from_the_reset():
    values = iter([5, 7, 7, 4, 9])
    rule = rule_of("reward", "gained(word(0))")

    class Guest(Sight):
        def __init__(self):
            self._before, self._asked, self.ram = [], 0, b""
            self.steps, self.terminated = 0, False

        def word(self, address):
            return next(values)

        def look(self):
            self._asked = 0

    sight = Guest()
    sight.begin()
    gains = []
    for _ in range(4):
        gains.append(rule(sight))
        sight.look()
    assert gains == [0, 2, 0, -3]
    sight.begin()
    assert rule(sight) == 0


CRASHING = {
    "image": GRANITE, "keys": (*"crash", "enter"), "obs": "text", "boot_frames": 2, "frame_skip": 1,
    "max_episode_steps": 8, "reward": "steps",
}  # fmt: skip


def plain(told):
    """Arrays within, as lists."""
    if isinstance(told, dict):
        return {name: plain(value) for name, value in told.items()}
    if isinstance(told, np.ndarray | tuple | list):
        return [plain(value) for value in told]
    return told.item() if isinstance(told, np.generic) else told


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
@pytest.mark.turns(3)
def test_a_vector_is_what_gymnasiums_is(mode):
    name = "vgaemu/Image-v0"
    ours = gymnasium.make_vec(name, 3, processes=2, autoreset_mode=mode, **CRASHING)
    theirs = gymnasium.make_vec(
        name, 3, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **CRASHING
    )
    assert type(ours) is ImageVectorEnv
    assert ours.metadata == theirs.metadata
    for space in ("action_space", "observation_space"):
        assert getattr(ours, space) == getattr(theirs, space)
        assert getattr(ours, f"single_{space}") == getattr(theirs, f"single_{space}")
    assert plain(ours.reset(seed=5)) == plain(theirs.reset(seed=5))
    # Two crash, one step after the other; the third is cut.
    over = np.zeros(3, bool)
    for step in range(11):
        if mode == "Disabled" and over.any():
            mine, its = (v.reset(options={"reset_mask": over.copy()}) for v in (ours, theirs))
            assert plain(mine) == plain(its)
        actions = np.array([min(step, 5), min(max(step - 1, 0), 5), 0])
        mine, its = ours.step(actions), theirs.step(actions)
        assert plain(mine) == plain(its)
        assert [part.dtype for part in mine[:4]] == [part.dtype for part in its[:4]]
        over = mine[2] | mine[3]
    ours.close()
    theirs.close()


def test_a_vector_has_attributes_and_pictures_and_says_what_failed():
    options = {"image": SNAKE, "obs": "text", "keys": ("up", "down"), "render_mode": "rgb_array"}
    vector = gymnasium.make_vec("vgaemu/Image-v0", 3, processes=2, **options)
    with ImageEnv(**options) as env:
        vector.reset(seed=[1, 2, 3])
        env.reset(seed=3)
        shown = vector.render()
        assert len(shown) == 3
        assert (shown[2] == env.render()).all()
        assert vector.call("has_wrapper_attr", "machine") == (True, True, True)
        for actions in ([0, 2, 0], [0, -1, 0], [0, 0], [0.5] * 3):
            with pytest.raises(GymError, match=r"^actions "):
                vector.step(np.array(actions))
        keys = vector.get_attr("_keys")
        vector.set_attr("_keys", [keys[0], keys[1], None])
        with pytest.raises(GymError, match=r"^environments 1 to 2: TypeError: "):
            vector.step(np.array([0, 1, 0]))
        with pytest.raises(GymError, match=r"^_keys: 2 values for 3 environments$"):
            vector.set_attr("_keys", keys[:2])
        vector.set_attr("_keys", list(keys))
        seen, *_ = vector.step(np.array([0, 1, 1]))
        assert (seen[2] == env.step(1)[0]).all()
        kept = seen.tobytes()
        for _ in range(4):
            vector.step(np.array([0, 1, 1]))
        assert seen.tobytes() == kept  # what was seen is the player's own
    vector.close()
    vector.close()


def test_a_process_that_is_gone_is_told():
    vector = gymnasium.make_vec("vgaemu/Snake-v0", 2, processes=2)
    vector.reset(seed=1)
    (process,) = multiprocessing.active_children()
    process.kill()
    with pytest.raises(GymError, match=r"^environment 1: its process has ended with -9$"):
        vector.step(np.array([UP, UP]))
    vector.close()


def test_the_others_end_at_once_where_a_process_is_gone(monkeypatch):
    monkeypatch.setattr("vgaemu.gym.vector.CLOSE_S", 60.0)
    vector = ImageVectorEnv(3, processes=3, image=SNAKE, obs="text", boot_frames=1)
    first, second = (worker.process for worker in vector._workers)
    first.kill()
    first.join()
    began = time.monotonic()
    vector.close()
    assert time.monotonic() - began < 30
    assert second.exitcode == 0
    for call in (vector.reset, vector.render, lambda: vector.step([UP] * 3)):
        with pytest.raises(GymError, match=r"^the environments are closed: make others$"):
            call()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"num_envs": 0}, "num_envs=0: a whole number, at least 1"),
        ({"num_envs": True}, "num_envs=True: a whole number, at least 1"),
        ({"processes": 0}, "processes=0: a whole number, at least 1"),
        ({"autoreset_mode": "Never"}, "autoreset_mode='Never': there are "),
        ({"obs": "sound"}, "obs='sound': there are "),
    ],
)
def test_vectors_that_cannot_be(options, told):
    with pytest.raises(GymError) as caught:
        ImageVectorEnv(**({"num_envs": 2, "processes": 2, "image": SNAKE} | options))
    assert str(caught.value).startswith(told)
    assert multiprocessing.active_children() == []


def test_vectors_resets_that_cannot_be():
    vector = ImageVectorEnv(2, processes=1, image=SNAKE, obs="text", autoreset_mode="Disabled")
    for words, told in (
        ({"seed": [1]}, "seed: 1 of them for 2 environments"),
        ({"options": {"reset_mask": np.zeros(2, bool)}}, "reset_mask: 2 of True and False"),
        ({"options": {"reset_mask": np.ones(3, bool)}}, "reset_mask: 2 of True and False"),
        ({"options": {"reset_mask": [[True], [True, False]]}}, "reset_mask: 2 of True and False"),
        ({"options": 3}, "options=3: a dict, or None"),
        ({"options": "ab"}, "options='ab': a dict, or None"),
        ({"seed": 1.5}, "seed=1.5: a whole number from 0 on, or a list of one each"),
        ({"seed": -1}, "seed=-1: a whole number from 0 on"),
        ({"seed": [1, -1]}, "seed=\\[1, -1\\]: a whole number from 0 on"),
    ):
        with pytest.raises(GymError, match=f"^{told}"):
            vector.reset(**words)
    with pytest.raises(GymError, match=r"^options=3: a dict, or None$"):
        vector._own.envs[0].reset(options=3)
    with pytest.raises(GymError, match=r"^actions \[\[0\], \[1, 2\]\]: a whole number for each"):
        vector.step([[0], [1, 2]])
    vector.close()


def test_vectors_attributes_that_cannot_be():
    """Told alike by the process that plays and by the others; what one does not get, none does."""
    vector = ImageVectorEnv(
        3, processes=3, image=SNAKE, obs="text", boot_frames=1, max_episode_steps=9
    )
    vector.set_attr("mine", 1)
    for act, told in (
        (lambda: vector.set_attr(3, 3), "3: not an attribute that can be set: "),
        (lambda: vector.set_attr("unwrapped", 3), "'unwrapped': not an attribute that can be set"),
        (lambda: vector.set_attr("mine", [2, 2, lambda: 3]), "mine: what cannot be pickled does"),
        (lambda: vector.call("render", lambda: 3), "render: what cannot be pickled does not go"),
        (lambda: vector.call("nothing"), "'nothing': the environments have no attribute"),
        (lambda: vector.get_attr(3), "3: the environments have no attribute of that name"),
    ):
        with pytest.raises(GymError) as caught:
            act()
        assert str(caught.value).startswith(told)
        assert "\n" not in str(caught.value)
    assert vector.get_attr("mine") == (1, 1, 1)
    vector.close()


def test_who_needs_no_window_loads_none():
    code = "import sys, gymnasium, vgaemu.gym; e = gymnasium.make('vgaemu/Snake-v0'); e.reset(); "
    code += "e.step(0); e.close(); print([m for m in ('pygame', 'pytest') if m in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(Path(vgaemu.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment
    )
    assert done.stdout == "[]\n", done.stderr


def run_example(name, *words, timeout):
    environment = os.environ | {"PYTHONPATH": str(Path(vgaemu.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *words],
        capture_output=True, text=True, timeout=timeout, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_an_agent_learns(tmp_path):
    """python -m pytest -m long tests/test_gym.py -k learns"""
    picture = tmp_path / "curve.png"
    words = ["160"] + [str(picture)] * (find_spec("matplotlib") is not None)
    lines = run_example("snake_agent.py", *words, timeout=900)
    scores = [float(score) for score in re.findall(r": ([\d.]+) diamonds", lines)]
    assert scores[0] < 3
    assert max(scores[-3:]) > 5
    assert picture.exists() == (len(words) == 2)


@pytest.mark.long
def test_rollouts_by_two_workers_of_ray():
    """python -m pytest -m long tests/test_gym.py -k ray"""
    if find_spec("ray") is None:
        pytest.skip("pip install ray")
    printed = run_example("ray_rollouts.py", "2", "300", timeout=300)
    assert re.findall(r"^worker (\d): \d+ episodes, -?\d+ gained$", printed, re.M) == ["0", "1"]
    assert re.search(r"^\d+ steps/s by 2 workers$", printed, re.M)
