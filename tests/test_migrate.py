"""Live migration: the same memory and picture on the other side, and no page lost on the way."""

from __future__ import annotations

import gc
import random
import socket
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest

from vgaemu.guest.workload import Guest, Slices
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.migrate import (
    Limits,
    MigrateError,
    Migration,
    Received,
    Receiver,
    Region,
    Report,
    connect,
    live,
    parse_address,
    receive_machine,
    send,
    send_machine,
    sender,
)
from vgaemu.migrate.arrival import Arrival
from vgaemu.migrate.bodies import memory_digest, pack_arrays, unpack_arrays
from vgaemu.migrate.live import device_state
from vgaemu.migrate.receiver import receive
from vgaemu.migrate.stream import Channel, Kind

pytestmark = pytest.mark.turns(2)


class Memory:
    """Memory alone, as the source or the target of a migration."""

    def __init__(self, *slots: Memslot, names: Sequence[str] = ("ram", "vram")) -> None:
        self.regions = [Region(name, slot) for name, slot in zip(names, slots, strict=False)]
        self.on_stop: Callable[[], None] = lambda: None
        self.stopped = False
        #: Which thread sends.
        self.thread = 0

    def stop(self) -> None:
        self.on_stop()
        self.stopped = True

    def guest(self) -> Mapping[str, Any]:
        return {}

    def check_guest(self, arrays: Mapping[str, Any], channel: Channel) -> None:
        assert not arrays

    def arrived(self, received: Received) -> None:
        self.received = received

    def state(self) -> Mapping[str, Any]:
        return {"number": np.asarray(7, "u4")}

    def picture(self) -> np.ndarray:
        return np.zeros((2, 3), np.uint32)

    def restore(self, arrays: Mapping[str, Any], channel: Channel) -> np.ndarray:
        assert arrays["number"] == 7
        return self.picture()


def outcome(future: Future[Any]) -> Any:
    """What a thread has returned or raised."""
    error = future.exception(30)
    return error if error is not None else future.result()


def migrate(
    source: Memory, target: Memory, limits: Limits | None = None, **options: Any
) -> tuple[Any, Any]:
    """Send, and what came of it on both sides: a value or an error."""
    with Receiver("127.0.0.1:0") as receiver, ThreadPoolExecutor() as pool:
        received = pool.submit(receiver.receive, target, 10)

        def go() -> Report:
            source.thread = threading.get_ident()
            channel = connect(receiver.address)
            try:
                return send(channel, source, limits, **options)
            finally:
                channel.close()

        sent = pool.submit(go)
        return outcome(sent), outcome(received)


@contextmanager
def receiving(machine: Machine, seconds: float = 10) -> Iterator[tuple[str, Future[Any]]]:
    """An address at which `machine` is waited for."""
    with Receiver("127.0.0.1:0") as receiver, ThreadPoolExecutor() as pool:
        yield receiver.address, pool.submit(receive_machine, receiver, machine, seconds)


def assert_equal_machines(source: Machine, target: Machine) -> None:
    np.testing.assert_array_equal(source.vram.array, target.vram.array)
    picture = source.screen.full_redraw()
    np.testing.assert_array_equal(target.screen.full_redraw(), picture)
    np.testing.assert_array_equal(target.screen.frame, picture)
    ours, theirs = device_state(source), device_state(target)
    for name in ours.keys() - {"beam_ns"}:  # time goes on
        np.testing.assert_array_equal(ours[name], theirs[name], name)


def random_slot(npages: int, seed: int = 1) -> Memslot:
    slot = Memslot(npages)
    slot.array[:] = np.random.default_rng(seed).integers(0, 256, slot.nbytes, np.uint8)
    return slot


# --- the same on both sides -----------------------------------------------------------------------


def busy_text(guest: Guest) -> Slices:
    guest.set_mode(3)
    while True:
        guest.text.print(f"{guest.random.random()} ")
        yield guest.NOW


def busy_13h(guest: Guest) -> Slices:
    guest.set_mode(0x13)
    while True:
        guest.outb(0x3C8, guest.random.randrange(256))
        for _ in range(3):
            guest.outb(0x3C9, guest.random.randrange(64))
        guest.store(0xA0000 + guest.random.randrange(64000), guest.random.randbytes(300))
        yield guest.NOW


def busy_planes(guest: Guest) -> Slices:
    guest.set_mode(0x12)
    while True:
        guest.outw(0x3C4, guest.random.randrange(1, 16) << 8 | 2)
        guest.store(0xA0000 + guest.random.randrange(38000), guest.random.randbytes(80))
        yield guest.NOW


def busy_dispi(guest: Guest) -> Slices:
    guest.set_dispi_mode(800, 600, 32)
    while True:
        guest.store(0xE0000000 + guest.random.randrange(1_900_000), guest.random.randbytes(9000))
        yield guest.NOW


@pytest.mark.parametrize("free", [False, True], ids=["in step", "free"])
@pytest.mark.parametrize("workload", [busy_text, busy_13h, busy_planes, busy_dispi])
def test_memory_picture_and_ports_are_the_same(workload: Any, free: bool) -> None:
    with Machine(workload, free=free) as source, Machine(mode=0x12) as target:
        source.tick(20)
        with receiving(target) as (address, received):
            # Beside a busy thread it is the host's business how soon that converges.
            report = send_machine(source, address, Limits(max_rounds=3) if free else None)
            assert outcome(received).rounds == len(report.rounds)
        assert report.digests_equal
        assert free or report.stuck == ""
        assert report.rounds[0].pages + report.rounds[0].zero_pages == source.vram.npages
        assert_equal_machines(source, target)


def test_the_receiver_goes_on_where_the_source_was() -> None:
    with Machine() as source, Machine(mode=0x13) as target:
        source.tick(20)
        with receiving(target) as (address, received):
            send_machine(source, address)
            outcome(received)
        frame = int(device_state(source)["frame"])
        shown = target.screen.full_redraw()
        left = -frame % 16
        assert target.tick(left)
        np.testing.assert_array_equal(target.screen.frame, shown)
        assert target.tick()
        assert (target.screen.frame != shown).any()  # the cursor blinks where it would have


def test_a_guest_of_its_own_starts_once_the_state_has_arrived() -> None:
    def drawing(guest: Guest) -> Slices:
        guest.store(0xB8000, b"o\x07l\x07d\x07")
        yield

    def reading(guest: Guest) -> Slices:
        found = guest.load(0xB8000, 6)[::2].decode()
        guest.store(0xB80A0, b"".join(bytes([ord(c), 7]) for c in "new after " + found))
        yield

    with Machine(drawing) as source, Machine(reading) as target:
        source.tick()
        with receiving(target) as (address, received):
            send_machine(source, address)
            outcome(received)
        assert target.screen.text()[1].strip() == ""
        target.tick()
        assert target.screen.text()[0].startswith("old")
        assert target.screen.text()[1].startswith("new after old")


@pytest.mark.parametrize("free", [False, True], ids=["in step", "free"])
def test_the_guest_ends_at_the_source(free: bool) -> None:
    steps = 0

    def counting(guest: Guest) -> Slices:
        nonlocal steps
        while True:
            steps += 1
            guest.store(0xB8000, bytes([steps & 0xFF]))
            yield guest.NOW

    with Machine(counting, free=free) as source, Machine() as target:
        source.tick(3)
        with receiving(target) as (address, received):
            send_machine(source, address)
            outcome(received)
        before = steps
        assert source.runner.left
        assert source.ended
        assert not source.tick(3)
        assert steps == before
        assert not target.ended
        with pytest.raises(MigrateError, match="another receiver"):
            Migration(source, address)


def test_regions_travel_by_name() -> None:
    a, b = random_slot(5, 1), random_slot(9, 2)
    c, d = Memslot(9), Memslot(5)
    sent, received = migrate(Memory(a, b), Memory(c, d, names=("vram", "ram")))
    assert sent.digests_equal
    assert received.pages == 14
    np.testing.assert_array_equal(a.array, d.array)
    np.testing.assert_array_equal(b.array, c.array)


# --- no lost page ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dirty_log", ["flags", "words", "sparse"])
def test_no_page_is_lost_beside_writers(dirty_log: str) -> None:
    for seed in range(4):
        slot, copy = Memslot(512, dirty_log=dirty_log), Memslot(512)
        source, over = Memory(slot), threading.Event()
        source.on_stop = over.set

        def write(seed: int, slot: Memslot = slot, over: threading.Event = over) -> None:
            rng = random.Random(seed)
            while not over.is_set():
                slot.write(rng.randrange(slot.nbytes - 5000), rng.randbytes(rng.choice((1, 5000))))

        writers = [threading.Thread(target=write, args=(seed * 2 + i,)) for i in range(2)]

        def stop(over: threading.Event = over, writers: Any = tuple(writers)) -> None:
            over.set()
            for writer in writers:
                writer.join()

        source.on_stop = stop
        for writer in writers:
            writer.start()
        try:
            # So small a budget that there are many rounds.
            sent, _ = migrate(source, Memory(copy), Limits(downtime_ms=0.01, max_rounds=12))
        finally:
            stop()
        np.testing.assert_array_equal(slot.array, copy.array)
        assert sent.digests_equal


def test_a_store_in_any_gap_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """One store before or after each step of the sender, in its own thread."""
    steps = 0
    store_at = -1
    slot = Memslot(4)

    def stepping(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            try_store()
            try:
                return function(*args, **kwargs)
            finally:
                try_store()

        return wrapped

    def try_store() -> None:
        nonlocal steps
        if threading.get_ident() != source.thread:
            return  # the receiver's
        if steps == store_at and not source.stopped:
            slot.write(2 * PAGE_SIZE + 9, bytes([steps % 255 + 1]))
        steps += 1

    precopy = sender.PreCopy
    for name in ("harvest", "round", "send_pages", "iterate", "digest_seconds"):
        monkeypatch.setattr(precopy, name, stepping(getattr(precopy, name)))
    monkeypatch.setattr(sender, "_zero", stepping(sender._zero))
    monkeypatch.setattr(Channel, "_send", stepping(Channel._send))
    source = Memory(slot)
    total = None
    while total is None or store_at < total:
        slot.array[:] = 0
        slot.write(0, b"\1" * 9000 if store_at % 2 else b"\1")
        slot.get_dirty_log()
        copy, source.stopped, steps = random_slot(4), False, 0
        sent, received = migrate(source, Memory(copy), Limits(downtime_ms=0, max_rounds=3))
        assert isinstance(sent, Report), (store_at, sent, received)
        np.testing.assert_array_equal(slot.array, copy.array, str(store_at))
        total = max(total or 0, steps)
        store_at += 1
    assert total > 40


def test_a_lost_page_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    slot, copy = random_slot(16), Memslot(16)
    pages_of = sender._pages_of
    monkeypatch.setattr(sender, "_pages_of", lambda log: (p[1:] for p in pages_of(log)))
    source = Memory(slot)
    source.on_stop = lambda: slot.write(3 * PAGE_SIZE, b"new")
    sent, received = migrate(source, Memory(copy))
    assert "another memory or picture" in str(sent) or "differs from its own" in str(sent)
    assert isinstance(received, MigrateError)


def test_another_picture_would_be_noticed() -> None:
    source, target = Memory(Memslot(1)), Memory(Memslot(1))
    target.picture = lambda: np.ones((2, 3), np.uint32)  # type: ignore[method-assign]
    sent, received = migrate(source, target)
    assert isinstance(sent, MigrateError)
    assert "differs from its own" in str(received)


def test_the_digest_tells_places_apart() -> None:
    memory = random_slot(3).array
    digest = memory_digest(memory)
    swapped = memory.reshape(3, -1)[[1, 0, 2]].ravel()
    words = memory.copy()
    words[0:8], words[8:16] = memory[8:16], memory[0:8]
    changed = memory.copy()
    changed[-1] ^= 0x80
    assert len({digest, *map(memory_digest, (swapped, words, changed))}) == 4


# --- what is sent ---------------------------------------------------------------------------------


def test_zero_pages_are_sent_as_such() -> None:
    slot, copy = Memslot(4096), random_slot(4096)
    slot.array[100 * PAGE_SIZE + 2000] = 1  # in the middle of its page only
    slot.array[4095 * PAGE_SIZE + 4095] = 1
    sent, received = migrate(Memory(slot), Memory(copy))
    assert sent.zero_pages == received.zero_pages == 4094
    assert sent.rounds[0].pages == received.pages == 2
    assert sent.sent_bytes < 5 * PAGE_SIZE
    np.testing.assert_array_equal(slot.array, copy.array)


def test_a_page_that_turns_zero_is_cleared_at_the_receiver() -> None:
    slot, copy = random_slot(8), Memslot(8)
    source = Memory(slot)
    source.on_stop = lambda: slot.write(3 * PAGE_SIZE, bytes(2 * PAGE_SIZE))
    sent, _ = migrate(source, Memory(copy))
    assert sent.zero_pages == 2
    assert sent.rounds[-1].pages == 0
    assert not copy.array[3 * PAGE_SIZE : 5 * PAGE_SIZE].any()
    np.testing.assert_array_equal(slot.array, copy.array)


def test_scattered_pages_in_many_runs() -> None:
    slot, copy = Memslot(8192), random_slot(8192, 3)
    for page in range(0, 8192, 3):
        slot.array[page * PAGE_SIZE] = 1
    source = Memory(slot)

    def touch() -> None:
        for page in range(1, 8192, 2):
            slot.write(page * PAGE_SIZE + 1, b"\2")

    source.on_stop = touch
    sent, _ = migrate(source, Memory(copy))
    assert sent.rounds[-1].pages == 4096
    np.testing.assert_array_equal(slot.array, copy.array)


def test_the_report_counts() -> None:
    slot = random_slot(64)
    source = Memory(slot)
    source.on_stop = lambda: slot.write(0, b"x")
    sent, _ = migrate(source, Memory(Memslot(64)))
    assert [(r.pages, r.zero_pages) for r in sent.rounds] == [(64, 0), (1, 0)]
    assert sent.rounds[0].sent_bytes > 64 * PAGE_SIZE
    assert sent.sent_bytes > sum(r.sent_bytes for r in sent.rounds)
    assert 0 < sent.downtime_ns < sent.seconds * 1e9
    assert sent.line().startswith("2 rounds, 65 pages and 0 of zeros, 0.3 MB in ")


# --- a guest that writes too fast -----------------------------------------------------------------


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> Memslot:
    """A slot that has a page dirty at every harvest until its guest is stopped."""
    slot = random_slot(64)
    harvest = sender.PreCopy.harvest

    def dirty_harvest(migration: Any) -> Any:
        if not migration.source.stopped:
            slot.write(random.randrange(slot.nbytes), b"!")
        return harvest(migration)

    monkeypatch.setattr(sender.PreCopy, "harvest", dirty_harvest)
    return slot


def test_a_guest_that_does_not_converge_is_stopped_by_budget(restless: Memslot) -> None:
    said: list[str] = []
    copy = Memslot(64)
    limits = Limits(downtime_ms=0, max_rounds=4)
    sent, _ = migrate(Memory(restless), Memory(copy), limits, say=said.append)
    assert len(sent.rounds) == 5
    assert "does not converge: after 4 rounds" in sent.stuck
    assert len(said) == 1
    assert sent.stuck in said[0]
    np.testing.assert_array_equal(restless.array, copy.array)


def test_or_given_up_by_choice(restless: Memslot) -> None:
    source = Memory(restless)
    limits = Limits(downtime_ms=0, max_rounds=4, when_stuck="give-up")
    sent, received = migrate(source, Memory(Memslot(64)), limits)
    assert "does not converge: after 4 rounds" in str(sent)
    assert "refuses: does not converge" in str(received)
    assert not source.stopped


def test_or_stopped_after_a_time(restless: Memslot) -> None:
    limits = Limits(downtime_ms=0, max_seconds=0)
    sent, _ = migrate(Memory(restless), Memory(Memslot(64)), limits)
    assert "after 1 rounds" in sent.stuck


# --- stopping the guest, and letting it go on -----------------------------------------------------


def test_holding_a_free_guest_is_real() -> None:
    steps = 0

    def counting(guest: Guest) -> Slices:
        nonlocal steps
        while True:
            steps += 1
            yield guest.NOW if steps % 100 else None

    with Machine(counting, free=True) as machine:
        machine.tick(5)
        for _ in range(20):
            assert machine.runner.hold(5)
            before = steps
            machine.tick(2)
            assert steps == before
            machine.runner.release()
            while steps == before:
                machine.tick()


def test_holding_a_guest_that_has_ended_or_not_begun() -> None:
    def short(guest: Guest) -> Slices:
        yield

    with Machine(short, free=True) as machine:
        assert machine.runner.hold(0)
        machine.tick(5)
        assert not machine.ended
        machine.runner.release()
        while machine.tick():
            pass
        assert machine.runner.hold(5)


def test_a_guest_that_does_not_yield_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HOLD_SECONDS", 0.05)
    over = threading.Event()

    def stubborn(guest: Guest) -> Slices:
        yield
        over.wait(30)
        while True:
            yield

    with Machine(stubborn, free=True) as source, Machine() as target:
        source.tick(5)
        with receiving(target) as (address, received):
            with pytest.raises(MigrateError, match="came to no 'yield' within"):
                send_machine(source, address)
            assert "refuses" in str(outcome(received))
        over.set()
        assert source.tick(3)


@pytest.mark.parametrize("free", [False, True], ids=["in step", "free"])
def test_the_guest_goes_on_when_the_receiver_breaks_off(free: bool) -> None:
    steps = 0

    def counting(guest: Guest) -> Slices:
        nonlocal steps
        while True:
            steps += 1
            yield

    class Deaf(Arrival):
        def restore(self, *_: Any) -> Any:
            raise MigrateError("I have changed my mind")

    with Machine(counting, free=free) as source, Machine() as target:
        source.tick(3)
        with Receiver("127.0.0.1:0") as receiver, ThreadPoolExecutor() as pool:
            received = pool.submit(receiver.receive, Deaf(target), 10)
            with pytest.raises(MigrateError, match="refuses: I have changed my mind"):
                send_machine(source, receiver.address)
            outcome(received)
        before = steps
        while steps < before + 3:
            assert source.tick()
        assert not source.runner.left
        with receiving(target) as (address, received):  # and may try again
            send_machine(source, address)
            outcome(received)
        assert_equal_machines(source, target)


def test_a_machine_that_is_closed_meanwhile_hangs_up() -> None:
    with Machine() as source, Machine() as target, receiving(target, 0.5) as (address, received):
        migration = Migration(source, address)
        source.run_frame()
        source.close()
        with pytest.raises(MigrateError):
            migration.result()
        assert isinstance(outcome(received), MigrateError)


def test_frames_that_end_before_the_migration_does() -> None:
    with Machine() as source, Machine() as target, receiving(target) as (address, received):
        migration = Migration(source, address, at_frame=2)
        source.tick()
        migration.finish()
        assert not migration.started
        source.tick()
        assert migration.started
        migration.finish()
        assert migration.result().digests_equal
        outcome(received)
        assert_equal_machines(source, target)


def test_a_machine_on_its_way_is_not_sent_twice() -> None:
    with Machine() as source:
        Migration(source, "127.0.0.1:1", at_frame=9)  # nobody else knows it
        gc.collect()
        with pytest.raises(MigrateError, match="another receiver"):
            Migration(source, "127.0.0.1:1")


def test_a_machine_that_was_sent_does_not_outlive_its_user() -> None:
    with Machine() as source, Machine() as target, receiving(target) as (address, received):
        send_machine(source, address)
        outcome(received)
    gone = weakref.ref(source)
    del source
    gc.collect()
    assert gone() is None


def test_a_paused_machine_is_migrated_too() -> None:
    class Pausing:
        paused = False

        def resize(self, *_: Any) -> None: ...
        def update(self, *_: Any) -> None: ...
        def close(self) -> None: ...
        def poll(self) -> list[Any]:
            from vgaemu.display.events import PauseToggled

            first, self.paused = not self.paused, True
            return [PauseToggled()] if first else []

    def idle(guest: Guest) -> Slices:
        while True:
            yield

    with (
        Machine(idle, display=Pausing(), free=True) as source,
        Machine() as target,
        receiving(target) as (address, received),
    ):
        source.run_frame()
        Migration(source, address)
        source.run()
        assert source.runner.left
        outcome(received)
        assert_equal_machines(source, target)


class PlainSocket:
    """A socket as on systems without `sendmsg` and `recvmsg_into`, giving little at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.settimeout, self.setsockopt = sock.settimeout, sock.setsockopt
        self.recv, self.shutdown, self.close = sock.recv, sock.shutdown, sock.close
        self._socket = sock

    def send(self, data: memoryview) -> int:
        return self._socket.send(data[:5000])

    def recv_into(self, data: memoryview) -> int:
        return self._socket.recv_into(data[:7000])


def test_sockets_that_take_one_buffer_at_a_time() -> None:
    slot, copy = random_slot(64), Memslot(64)
    ends = [PlainSocket(sock) for sock in tcp_pair()]
    here, there = (Channel(end, "peer") for end in ends)  # type: ignore[arg-type]
    with ThreadPoolExecutor() as pool:
        received = pool.submit(receive, there, Memory(copy))
        sent = send(here, Memory(slot))
        assert outcome(received).pages == 64
    assert sent.digests_equal
    np.testing.assert_array_equal(slot.array, copy.array)
    here.close()
    there.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        here = socket.create_connection(listening.getsockname())
        return here, listening.accept()[0]


def test_without_a_log_nothing_is_sent() -> None:
    slot = Memslot(4)
    slot.logging = False
    here, there = tcp_pair()
    with here, there:
        there.shutdown(socket.SHUT_WR)
        with pytest.raises(MigrateError, match="its dirty log is off"):
            send(Channel(here, "peer"), Memory(slot))


# --- addresses and arrays -------------------------------------------------------------------------


def test_a_receiver_listens_on_loopback_unless_told_otherwise() -> None:
    for listen in (":0", "127.0.0.1:0"):
        with Receiver(listen) as receiver:
            assert parse_address(receiver.address)[0] == "127.0.0.1"
    assert Receiver.__init__.__defaults__ == ("127.0.0.1:4096",)


NO_ADDRESSES = ["", "a:b", "host:70000", "::1", "a:1:2", "[::1", "ho st:1", "a..b:1", "a" * 64]


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(MigrateError, match="no address: write HOST:PORT"):
        parse_address(text)


def test_a_port_that_is_taken() -> None:
    with (
        Receiver("127.0.0.1:0") as receiver,
        pytest.raises(MigrateError, match=r"127\.0\.0\.1:\d+: .*free port"),
    ):
        Receiver(receiver.address)


def test_nobody_comes() -> None:
    with Receiver(":0") as receiver, pytest.raises(MigrateError, match="nobody came within"):
        receiver.receive(Memory(Memslot(1)), 0.1)


ARRAYS = {
    "frame": np.asarray(2**63, "u8"),
    "cpu.regs": np.arange(24, dtype="i8").reshape(2, 3, 4) - 7,
    "empty": np.zeros((0, 5), "u2"),
    "bytes": np.arange(200, dtype="u1"),
}


def test_arrays_come_back() -> None:
    arrays = unpack_arrays(bytearray(pack_arrays(ARRAYS)), len(ARRAYS))
    assert arrays is not None
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.array(["text"])},
        {"x": np.array([object()])},
        {"x": np.zeros(3)},
        {"x": np.zeros((1,) * 5, "u1")},
        {"Big Name": np.zeros(3, "u1")},
        {"n" * 33: np.zeros(3, "u1")},
        {"x": np.zeros(1 << 26, "u1")},
        {f"x{i}": np.zeros(1, "u1") for i in range(300)},
    ],
)
def test_what_no_state_is_made_of(arrays: dict[str, Any]) -> None:
    with pytest.raises(MigrateError):
        pack_arrays(arrays)


def test_damaged_arrays_are_refused_and_never_fail() -> None:
    good = pack_arrays(ARRAYS)
    rng = random.Random(1)
    for length in range(len(good)):
        assert unpack_arrays(bytearray(good[:length]), len(ARRAYS)) is None
    assert unpack_arrays(bytearray(good + b"\0"), len(ARRAYS)) is None
    assert unpack_arrays(bytearray(good), len(ARRAYS) - 1) is None
    assert unpack_arrays(bytearray(good), 2**32 - 1) is None
    for _ in range(3000):
        damaged = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(good))] = rng.randrange(256)
        with suppress(MigrateError):
            unpack_arrays(damaged, len(ARRAYS))
    assert Kind.STATE == 8  # a number on the wire
