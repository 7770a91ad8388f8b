"""A network over tcp with keys, as real processes: who has the right one takes part, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from tests.command import neurond
from tests.endless import ENDLESS
from tests.fault.faults import Fault, Place, injects
from tests.keyed import Intruder, Network, network, pair_of
from tests.peers import Listener
from tests.ports import free_ports
from tests.waiting import DEADLINE_S, comes
from topology import address, sockets, wire
from topology.issue import issue, revoke
from topology.keys import PUBLIC, Keyring, names_of

LINK_IN = 0  # source -> hidden


@pytest.fixture
def port() -> int:
    """The first of three free ports."""
    return free_ports()


@pytest.fixture
def endless(tmp_path: Path, port: int) -> Iterator[Network]:
    """A network that trains until it is told to stop."""
    with network(tmp_path, port, ENDLESS) as running:
        yield running


def spikes(incarnation: int, seq: int) -> bytes:
    """A frame of the link source -> hidden, well-formed."""
    return wire.encode(wire.Spikes(LINK_IN, incarnation, 1, seq, 1, True, np.array([0]), np.ones((1, 2), np.float32)))


async def test_each_with_its_own_secret(tmp_path: Path, port: int) -> None:
    """Public keys and its own secret are all that a process needs; together they train to the end."""
    with network(tmp_path, port) as whole:
        said = whole.left()
        assert "test accuracy 100.00 %" in said["broker"]
        assert "denied" not in said["broker"]
        assert sorted(path.name for path in (tmp_path / "keys-out").iterdir()) == ["out.secret", PUBLIC]


@injects(Place.PROCESSES, Fault.WRONG_KEYS)
@pytest.mark.parametrize("who", ["a stranger", "one without keys", "one with a wrong key of the server"])
async def test_who_is_kept_out(endless: Network, who: str) -> None:
    """It reaches no socket of the broker and no inbox, hears nothing, is counted by each, and the run ends well."""
    status = await endless.runs()
    inbox = status["processes"]["hidden"]["endpoint"]
    keys = Keyring(endless.keys, "monitor")
    places = [
        (sockets.CONTROL_LINE, address.control(endless.at), "broker"),
        (sockets.REPORT_LINE, address.telemetry_in(endless.at), "broker"),
        (sockets.FEED_LINE, address.telemetry_out(endless.at), "broker"),
        (sockets.OUTBOX, inbox, "hidden"),
    ]
    wrong = zmq.curve_keypair()[0]
    hello = wire.pack(wire.Hello("hidden", "group", 1, "tcp://127.0.0.1:1"))
    intruders = []
    try:
        for kind, endpoint, name in places:
            server = {"a stranger": keys.key_of(name), "one without keys": None}.get(who, wrong)
            says = [] if kind is sockets.FEED_LINE else [hello, spikes(1, 0)]
            intruders.append(Intruder(kind, endpoint, server, says=says))

        async def counted() -> bool:
            return (await endless.status())["denied"] >= 3 and await endless.counter("hidden", "denied") >= 1

        await comes(counted, "the broker and the group have counted them")
        for intruder in intruders:
            await comes(lambda them=intruder: them.events(), "it notices")
            assert zmq.EVENT_HANDSHAKE_SUCCEEDED not in intruder.events()
        assert not intruders[0].socket.poll(0)
        assert not intruders[2].socket.poll(0)
        assert await endless.counter("hidden", "wire_errors") == 0
        assert (await endless.status())["wire_errors"] == 0
    finally:
        for intruder in intruders:
            intruder.close()
    said = await endless.stopped()
    assert "connections denied" in said["broker"]


async def test_frames_of_another_link(endless: Network) -> None:
    """A group's key speaks for its own links: a frame of another one is counted at the inbox, and dropped."""
    inbox = (await endless.runs())["processes"]["hidden"]["endpoint"]
    ring = Keyring(endless.keys, "hidden")
    with Intruder(sockets.OUTBOX, inbox, ring.public, pair_of(endless.keys, "out")) as out:
        for seq in range(5):
            out.socket.send(spikes(1, seq))
        out.socket.send(b"nothing")

        async def counted() -> bool:
            return await endless.counter("hidden", "impostors") == 6

        await comes(counted, "all of them are counted")
        assert zmq.EVENT_HANDSHAKE_SUCCEEDED in out.events()
    assert await endless.counter("hidden", "wire_errors") == await endless.counter("hidden", "fenced") == 0
    await endless.stopped()


async def test_frames_of_an_incarnation_that_is_over(endless: Network) -> None:
    """What an earlier process sent under the same key changes nothing when it comes again; each frame is counted."""
    inbox = (await endless.runs())["processes"]["hidden"]["endpoint"]
    ring = Keyring(endless.keys, "hidden")
    with Intruder(sockets.OUTBOX, inbox, ring.public, pair_of(endless.keys, "source")) as earlier:
        for seq in range(5):
            earlier.socket.send(spikes(0, seq))

        async def counted() -> bool:
            return await endless.counter("hidden", "fenced") == 5

        await comes(counted, "all of them are counted")
    assert await endless.counter("hidden", "impostors") == 0
    await endless.stopped()


async def test_a_key_is_its_name(endless: Network) -> None:
    """Whoever claims another name than its key's is refused, a group's key commands nothing, and both are counted."""
    await endless.runs()
    with Intruder(
        sockets.CONTROL_LINE,
        address.control(endless.at),
        Keyring(endless.keys, "broker").public,
        pair_of(endless.keys, "out"),
    ) as out:
        out.socket.send(wire.pack(wire.Hello("hidden", "group", 1, "tcp://127.0.0.1:1")))
        assert out.socket.poll(DEADLINE_S * 1000)
        assert wire.unpack(out.socket.recv()) == wire.Refused("the key of 'out' is not that of 'hidden'")
    assert (await endless.status())["impostors"] == 1
    async with endless.client("out") as client:
        refused = await client.command("stop")
        assert (refused.ok, refused.error) == (False, "the key of 'out' may not stop")
        assert (await client.command("status")).ok
    assert (await endless.status())["state"] == "running"
    await endless.stopped()


def test_a_secret_that_others_can_read(tmp_path: Path) -> None:
    """It is refused in one line that says what to do, with 2; so is a list of keys that others can write."""
    assert neurond(tmp_path, "keys", "init", "xor").returncode == 0
    for name, mode, says in (
        (
            "out.secret",
            0o640,
            "neurond: keys/out.secret can be read by others (mode 0640); chmod 600 keys/out.secret",
        ),
        (PUBLIC, 0o666, f"neurond: keys/{PUBLIC} can be changed by others (mode 0666); chmod 644 keys/{PUBLIC}"),
    ):
        (tmp_path / "keys" / name).chmod(mode)
        done = neurond(tmp_path, "group", "out", "--broker", "tcp://127.0.0.1:1")
        assert (done.returncode, done.stderr) == (2, says + "\n")
        (tmp_path / "keys" / name).chmod(0o600)


@pytest.mark.parametrize(
    "verb",
    [
        ["broker", "xor", "--address", "tcp://0.0.0.0:5570"],
        ["broker", "xor"],
        ["source"],
        ["group", "out", "--bind", "tcp://0.0.0.0:5600", "--broker", "ipc:///tmp/nobody/"],
        ["status", "--broker", "tcp://127.0.0.1:5570"],
        ["pause", "--broker", "tcp://127.0.0.1:5570"],
    ],
)
def test_tcp_without_keys(tmp_path: Path, verb: list[str]) -> None:
    """What would speak tcp without keys is refused in one line that says what to do, with 2, and nothing is made."""
    done = neurond(tmp_path, *verb)
    (line,) = done.stderr.splitlines()
    assert "needs keys, and there are none in keys/: neurond keys init TOPOLOGY makes them" in line
    assert "--insecure" in line
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])


@injects(Place.PROCESSES, Fault.WRONG_KEYS)
async def test_a_key_that_is_revoked(endless: Network) -> None:
    """It falls silent on connections that it has, and hears nothing on them; its process is told, and leaves.

    Nothing is started anew for it: the broker and every process look at their list.
    """
    await endless.runs()
    async with endless.client() as client:
        listener = Listener(client)
        await comes(lambda: listener.items, "the client hears the feed")
        revoke(endless.keys, "monitor")
        issue(endless.keys, ["monitor"])
        spread(endless)

        async def refused() -> bool:
            return not (await client.command("status")).ok

        await comes(refused, "the client is refused on the connection that it has")
        assert (await client.command("stop")).error == "a key that is revoked may not stop"
        async with endless.client() as another:
            newer = Listener(another)
            await comes(lambda: newer.telemetry("hidden"), "one with the new key hears the feed")
            heard = len(listener.items)
            before = len(newer.items)
            await comes(lambda: len(newer.items) > before + 10, "it goes on")
            assert len(listener.items) == heard
            newer.task.cancel()
            await asyncio.gather(newer.task, return_exceptions=True)
        listener.task.cancel()
        await asyncio.gather(listener.task, return_exceptions=True)
    revoke(endless.keys, "out")
    spread(endless)
    process = endless.processes["out"]
    said = process.communicate(timeout=DEADLINE_S)[1]
    assert process.returncode == 1
    assert said.splitlines()[-1] == "neurond: the broker refuses out: a key that is revoked"


async def test_a_key_that_the_broker_does_not_know(endless: Network, tmp_path: Path) -> None:
    """Whoever comes with a key that is not in the broker's list is told at once that it is refused, with 4."""
    await endless.runs()
    theirs = tmp_path / "theirs"
    assert neurond(tmp_path, "keys", "init", "xor", "--keys", "theirs").returncode == 0
    # They know the broker's key; the broker does not know theirs.
    real = [line for line in (endless.keys / PUBLIC).read_text().splitlines() if line.startswith("broker ")]
    lines = [line for line in (theirs / PUBLIC).read_text().splitlines() if not line.startswith("broker ")]
    (theirs / PUBLIC).write_text("\n".join([*lines, *real]) + "\n")
    for verb in (["status"], ["group", "out"]):
        done = neurond(tmp_path, *verb, "--broker", endless.at, "--keys", "theirs")
        assert done.returncode == 4, done.stderr
        assert done.stderr.startswith(f"neurond: the broker at {endless.at} refuses our key; ")
    done = neurond(tmp_path, "status", "--broker", endless.at, "--insecure")
    assert done.returncode == 4
    await endless.stopped()


def spread(net: Network) -> None:
    """Bring the changed list to every process, as its owner would."""
    for name in net.processes:
        where = net.keys.parent / f"keys-{name}" / PUBLIC
        part = where.with_suffix(".part")
        part.write_bytes((net.keys / PUBLIC).read_bytes())
        part.chmod(0o644)
        part.replace(where)


def test_every_process_has_a_key(tmp_path: Path) -> None:
    """`keys init` makes one for each process of the plan, the broker and clients; a secret is its owner's alone."""
    told = neurond(tmp_path, "keys", "init", "sharded")
    assert told.returncode == 0, told.stderr
    shown = neurond(tmp_path, "keys", "show").stdout.splitlines()
    names = [line.split()[0] for line in shown]
    assert names[:2] == ["broker", "source"]
    assert names[-1] == "monitor"
    assert any("." in name for name in names)
    for name in names:
        secret = tmp_path / "keys" / f"{name}.secret"
        assert secret.stat().st_mode & 0o777 == 0o600
        assert secret.read_text().strip() not in "\n".join(shown)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert tuple(names) == names_of(names[2:-1])


def test_what_to_do_after_revoking(tmp_path: Path) -> None:
    """`keys revoke` says where the changed list must go; one that has no key is told who has, with 2."""
    assert neurond(tmp_path, "keys", "init", "xor").returncode == 0
    told = neurond(tmp_path, "keys", "revoke", "broker")
    assert (told.returncode, told.stdout) == (0, "")
    assert "copy keys/public.keys to every other machine" in told.stderr
    assert "start every process anew" in told.stderr
    assert not (tmp_path / "keys" / "broker.secret").exists()
    shown = neurond(tmp_path, "keys", "show").stdout.splitlines()
    assert [line.split()[0] for line in shown if line.endswith(" revoked")] == ["broker"]
    again = neurond(tmp_path, "keys", "revoke", "broker")
    assert again.returncode == 2
    assert again.stderr == (
        "neurond: no key of 'broker' in keys/public.keys; there are those of source, hidden, out, monitor\n"
    )
    made = neurond(tmp_path, "keys", "init", "xor")
    assert "made in keys: broker\n" in made.stderr
