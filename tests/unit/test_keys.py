"""Key files: what is written, what is read again, what is refused, and how a change is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import zmq

from topology.issue import issue, revoke
from topology.keys import PUBLIC, Entry, Keyring, KeysError, of_client, of_process, read_public, secret_path

NAMES = ("broker", "source", "h1", "h2.0", "monitor")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with keys of NAMES."""
    issue(tmp_path / "keys", NAMES)
    return tmp_path / "keys"


def mode(path: Path) -> int:
    """Permissions of a file."""
    return path.stat().st_mode & 0o777


def test_what_is_made(folder: Path) -> None:
    """The folder and the secrets are for their owner alone whatever the umask, and each pair belongs together."""
    assert mode(folder) == 0o700
    for entry in read_public(folder):
        assert mode(secret_path(folder, entry.name)) == 0o600
        ring = Keyring(folder, entry.name)
        assert zmq.curve_public(ring.secret) == ring.public == ring.key_of(entry.name) == entry.key.encode()
        assert ring.owner(entry.key) == entry.name
    assert [entry.name for entry in read_public(folder)] == list(NAMES)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_any_umask(tmp_path: Path, umask: int) -> None:
    """A careless umask opens no secret, a strict one hides no list."""
    before = os.umask(umask)
    try:
        issue(tmp_path / "keys", NAMES)
    finally:
        os.umask(before)
    assert (mode(tmp_path / "keys"), mode(tmp_path / "keys" / PUBLIC)) == (0o700, 0o644)
    assert mode(secret_path(tmp_path / "keys", "h1")) == 0o600


def test_made_again(folder: Path) -> None:
    """What is there is kept, what is missing is added; `replace` revokes all, and makes all new."""
    before = read_public(folder)
    assert issue(folder, (*NAMES, "h3")) == (["h3"], list(NAMES))
    assert read_public(folder)[: len(NAMES)] == before
    made, kept = issue(folder, NAMES, replace=True)
    assert (made, kept) == (list(NAMES), [])
    after = read_public(folder)
    assert [Entry(e.name, e.key, revoked=True) for e in before] == after[: len(NAMES)]
    assert Keyring(folder, "h1").public not in {e.key.encode() for e in before}


def test_an_interrupted_making(folder: Path) -> None:
    """A secret whose public half was not written yet is taken up; that of a revoked key never is."""
    issue(folder, ["h3"])
    secret = secret_path(folder, "h3").read_text()
    lines = (folder / PUBLIC).read_text().splitlines(keepends=True)
    (folder / PUBLIC).write_text("".join(line for line in lines if not line.startswith("h3 ")))
    assert issue(folder, ["h3"]) == (["h3"], [])
    assert secret_path(folder, "h3").read_text() == secret
    revoke(folder, "h3")
    secret_path(folder, "h3").write_text(secret)
    secret_path(folder, "h3").chmod(0o600)
    issue(folder, ["h3"])
    assert secret_path(folder, "h3").read_text() != secret


def test_revoked(folder: Path) -> None:
    """A revoked key has no owner any more, for those who have it read already too, and its secret is gone."""
    ring, h1 = Keyring(folder, "broker"), Keyring(folder, "h1").public.decode()
    assert not ring.refresh()
    assert ring.owner(h1) == "h1"
    revoke(folder, "h1")
    assert ring.refresh()
    assert not ring.refresh()
    assert ring.owner(h1) is ring.key_of("h1") is None
    assert ring.owner(ring.public.decode()) == "broker"
    assert not secret_path(folder, "h1").exists()
    with pytest.raises(KeysError, match=r"cannot read .*h1\.secret: No such file"):
        Keyring(folder, "h1")
    with pytest.raises(KeysError, match=r"no key of 'h1' in .*; there are those of broker, source, h2\.0, monitor"):
        revoke(folder, "h1")


def test_a_list_that_is_damaged(folder: Path) -> None:
    """Where a change cannot be read the keys known so far are good, and it is said once."""
    ring = Keyring(folder, "broker")
    good = (folder / PUBLIC).read_text()
    (folder / PUBLIC).write_text("h1 nonsense\n")
    with pytest.raises(KeysError, match=rf"{PUBLIC}:1: the key of h1 should be 40 characters of Z85"):
        ring.refresh()
    assert not ring.refresh()
    assert ring.key_of("h1") is not None
    (folder / PUBLIC).write_text(good.replace("h1 ", "h9 "))
    assert ring.refresh()
    assert ring.key_of("h1") is None
    (folder / PUBLIC).unlink()
    assert not ring.refresh()
    assert ring.key_of("h9") is not None


KEY = "w[4%#Li)m<{b^br9YARk6wLP#3h)yFV}l#VP:2Bd"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("h1\n", ":1: should be NAME KEY"),
        (f"# h\n\nh1 {KEY} gone\n", ":3: should be NAME KEY"),
        (f"../h1 {KEY}\n", ":1: should be NAME KEY"),
        (f"h1 {KEY[:-1]}\n", ":1: the key of h1 should be"),
        (f"h1 {KEY}\nh2 {KEY}\n", ": one key stands there twice"),
        (f"h1 {KEY}\nh1 {KEY[::-1]}\n", ": one name stands there twice"),
        ("h1 é\n", " is no text of ours"),
    ],
)
def test_a_list_that_is_none(folder: Path, text: str, says: str) -> None:
    """Whatever is wrong with the list is one line with the file and the place."""
    (folder / PUBLIC).write_text(text)
    with pytest.raises(KeysError) as caught:
        read_public(folder)
    assert str(caught.value).startswith(f"{folder / PUBLIC}{says}")
    assert "\n" not in str(caught.value)


def test_others_can_read_or_write(folder: Path) -> None:
    """A secret that others can read, and a list that others can write, are refused with the chmod that helps."""
    path = secret_path(folder, "h1")
    for given, file, wanted in ((0o640, path, "600"), (0o604, path, "600"), (0o664, folder / PUBLIC, "644")):
        before = mode(file)
        file.chmod(given)
        with pytest.raises(KeysError, match=f"; chmod {wanted} {file}$"):
            Keyring(folder, "h1")
        file.chmod(before)
    assert Keyring(folder, "h1").name == "h1"


def test_a_secret_of_somebody_else(folder: Path) -> None:
    """A secret under another name than its own is no key of that name; neither is one that is no key."""
    secret_path(folder, "h1").write_bytes(secret_path(folder, "source").read_bytes())
    with pytest.raises(KeysError, match=r"h1\.secret is not the secret of h1 in "):
        Keyring(folder, "h1")
    secret_path(folder, "h1").write_text("nothing")
    with pytest.raises(KeysError, match=r"h1\.secret is no secret key"):
        Keyring(folder, "h1")


def test_who_needs_keys(folder: Path) -> None:
    """Whatever is tcp does, the loopback too; ipc does not, nor does what was said to be insecure."""
    at, here = "tcp://127.0.0.1:5570", "ipc:///tmp/n/"
    assert of_process("h1", [here, here], None, insecure=False) is None
    assert of_process("h1", [at, here], None, insecure=True) is None
    ring = of_process("h1", [here, at], str(folder), insecure=False)
    assert ring is not None
    assert ring.name == "h1"
    with pytest.raises(KeysError, match=r"tcp://127\.0\.0\.1:5570 needs keys, and there are none in nowhere/"):
        of_process("h1", [at], "nowhere", insecure=False)


def test_which_key_a_client_has(folder: Path) -> None:
    """That of `monitor`; who only asks how the run stands may have one secret alone, as in a container."""
    at = "tcp://127.0.0.1:5570"
    ring = of_client(at, str(folder), insecure=False)
    assert ring is not None
    assert ring.name == "monitor"
    secret_path(folder, "monitor").unlink()
    with pytest.raises(KeysError, match=r"monitor\.secret is not there"):
        of_client(at, str(folder), insecure=False)
    for name in ("broker", "source", "h1"):
        secret_path(folder, name).unlink()
    with pytest.raises(KeysError, match=r"monitor\.secret is not there"):
        of_client(at, str(folder), insecure=False)
    ring = of_client(at, str(folder), insecure=False, asks=True)
    assert ring is not None
    assert ring.name == "h2.0"
    assert of_client("ipc:///tmp/n/", None, insecure=False) is None
