"""Fetching from a real HTTP server on this host, which can break off, lie, or know no ranges."""

import gzip
import hashlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from neurond.data import DataError, fetch, load
from neurond.data.download import TRIES, fetch_files
from neurond.data.mnist import IDX_SETS, RemoteFile

BODY = np.random.RandomState(0).bytes(300_000)
FILE = RemoteFile("f.gz", len(BODY), hashlib.md5(BODY).hexdigest())


@dataclass
class Server:
    """What the server serves, how it misbehaves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True  # whether it understands Range
    length: bool = True  # whether it tells the length
    breaks: list[int] = field(default_factory=list)  # bytes after which the next answers break off
    statuses: list[int] = field(default_factory=list)  # statuses of the next answers, instead of the file
    shift: int = 0  # how many bytes beside the asked range it starts, saying so
    asked: list[str] = field(default_factory=list)  # the Range of each request, or its absence


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that is running, and that no proxy stands before."""
    state = Server(files={"/f.gz": BODY})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            state.asked.append(asked)
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            if self.path not in state.files:
                self.send_error(404)
                return
            body, start = state.files[self.path], 0
            if state.ranges and (match := re.fullmatch(r"bytes=(\d+)-", asked)):
                start = int(match[1]) + state.shift
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            if state.length:
                self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            end = start + state.breaks.pop(0) if state.breaks else len(body)
            self.wfile.write(body[start:end])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{http.server_address[1]}"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield state
        http.shutdown()
        thread.join()


def get(server: Server, folder: Path, *, pause_s: float = 0.0) -> bytes:
    """The file as it is in the folder once it is fetched."""
    fetch_files((FILE,), folder, server.url, pause_s=pause_s)
    return (folder / FILE.name).read_bytes()


def names(folder: Path) -> list[str]:
    """What is in the folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    """The file arrives whole, nothing else is left, and the second time the server is not asked."""
    assert get(server, tmp_path / "new" / "folder") == BODY
    assert get(server, tmp_path / "new" / "folder") == BODY
    assert server.asked == [""]
    assert names(tmp_path / "new" / "folder") == ["f.gz"]


def test_a_damaged_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    """A file with the wrong checksum is replaced."""
    (tmp_path / "f.gz").write_bytes(BODY[:-1])
    assert get(server, tmp_path) == BODY


def test_progress_never_goes_back_and_ends_at_the_size(server: Server, tmp_path: Path) -> None:
    """The callback hears of every part once, up to the whole; also of a file that was there already."""
    heard: list[tuple[str, int, int | None]] = []
    for _ in range(2):
        fetch_files((FILE,), tmp_path, server.url, progress=lambda *args: heard.append(args))
    done = [n for _, n, _ in heard]
    assert done == sorted(done)
    assert heard[-2:] == [("f.gz", len(BODY), len(BODY))] * 2


def test_a_broken_line_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    """After each break the next request asks for the rest, and only for the rest."""
    server.breaks = [100_000, 50_000]
    assert get(server, tmp_path) == BODY
    assert server.asked == ["", "bytes=100000-", "bytes=150000-"]
    assert names(tmp_path) == ["f.gz"]


def test_without_ranges_it_starts_anew(server: Server, tmp_path: Path) -> None:
    """A server that ignores Range sends everything again, and the file is right all the same."""
    server.ranges, server.breaks = False, [100_000, 50_000]
    assert get(server, tmp_path) == BODY
    assert len(server.asked) == 3


def test_a_break_is_seen_without_a_length(server: Server, tmp_path: Path) -> None:
    """Where the server does not tell the length, a short file is a break, not the end."""
    server.length, server.breaks = False, [100_000]
    assert get(server, tmp_path) == BODY


def test_another_range_than_asked_is_not_appended(server: Server, tmp_path: Path) -> None:
    """A server that answers with another range is not believed: the file starts anew, without ranges."""
    server.breaks, server.shift = [100_000], 5
    assert get(server, tmp_path) == BODY
    assert server.asked == ["", "bytes=100000-", ""]


def test_a_later_run_goes_on(server: Server, tmp_path: Path) -> None:
    """What one run left unfinished, the next one finishes."""
    server.breaks = [10_000] * TRIES
    with pytest.raises(DataError, match=r"the connection broke after 50000 bytes; given up after 5 tries"):
        get(server, tmp_path)
    assert names(tmp_path) == ["f.gz.part"]
    assert get(server, tmp_path) == BODY
    assert server.asked[-1] == "bytes=50000-"


def test_a_finished_part_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    """A run that was killed between the last byte and the rename has left nothing to fetch."""
    (tmp_path / "f.gz.part").write_bytes(BODY)
    assert get(server, tmp_path) == BODY
    assert server.asked == [f"bytes={len(BODY)}-"]


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * len(BODY), BODY + b"x"])
def test_a_corrupt_part_is_thrown_away(server: Server, tmp_path: Path, left: bytes) -> None:
    """A part that does not lead to the right checksum costs one more fetch, not the file."""
    (tmp_path / "f.gz.part").write_bytes(left)
    assert get(server, tmp_path) == BODY
    assert names(tmp_path) == ["f.gz"]


def test_passing_trouble_is_waited_out(server: Server, tmp_path: Path) -> None:
    """Answers that ask to come back are tried again."""
    server.statuses = [503, 429, 500]
    assert get(server, tmp_path) == BODY
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("change", "message", "requests"),
    [
        ({"files": {}}, r"/f.gz: the server answered 404 Not Found; name another mirror", 1),
        ({"statuses": [403]}, r"the server answered 403 Forbidden", 1),
        ({"statuses": [503] * TRIES}, r"the server answered 503 .*; given up after 5 tries", TRIES),
        ({"files": {"/f.gz": b"<html>"}}, rf"what the server sent is not the file whose MD5 is {FILE.md5}", 1),
        ({"files": {"/f.gz": BODY[::-1]}}, r"what the server sent is not the file", 1),
        ({"files": {"/f.gz": BODY * 20}}, r"what the server sent is not the file", 1),
        ({"breaks": [0] * TRIES}, r"the connection broke after 0 bytes; given up", TRIES),
    ],
    ids=["404", "403", "503", "a page", "wrong bytes", "far too long", "nothing"],
)
def test_lasting_trouble_is_one_clear_line(
    server: Server, tmp_path: Path, change: dict[str, object], message: str, requests: int
) -> None:
    """The error names the address, the server is not asked more often than makes sense, and nothing is left."""
    for name, value in change.items():
        setattr(server, name, value)
    with pytest.raises(DataError, match=message) as e:
        get(server, tmp_path)
    assert "\n" not in str(e.value)
    assert len(server.asked) == requests
    assert names(tmp_path) == []


def test_a_failure_leaves_the_old_file(server: Server, tmp_path: Path) -> None:
    """A file that was there stays until a better one is complete."""
    (tmp_path / "f.gz").write_bytes(b"old")
    server.files = {"/f.gz": b"wrong"}
    with pytest.raises(DataError):
        get(server, tmp_path)
    assert (tmp_path / "f.gz").read_bytes() == b"old"


def test_no_server_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port where nobody listens is named, with the reason."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DataError, match=r"127.0.0.1:1/f.gz: no connection \(Connection refused\); given up after"):
        fetch_files((FILE,), tmp_path, "http://127.0.0.1:1", pause_s=0)
    assert names(tmp_path) == []


@pytest.mark.parametrize("url", ["file:///etc", "ftp://127.0.0.1", "127.0.0.1/data"])
def test_only_http_is_fetched(tmp_path: Path, url: str) -> None:
    """Addresses of other kinds are refused."""
    with pytest.raises(DataError, match="from http:// or https:// addresses"):
        fetch("mnist", tmp_path, url)


@pytest.mark.parametrize("url", ["http://a b", "http://" + "a" * 70 + ".org", "http://[::1"])
def test_an_address_that_is_none_is_one_clear_line(tmp_path: Path, url: str) -> None:
    """A broken address is an error at once, not after five tries."""
    with pytest.raises(DataError, match="not an address"):
        fetch("mnist", tmp_path, url)


def test_two_at_once_do_not_mix(server: Server, tmp_path: Path) -> None:
    """While one process fetches a file, another one is told so and touches nothing."""
    refused = []

    def fetch_too(*_: object) -> None:
        with pytest.raises(DataError, match="another process is fetching this file") as e:
            get(server, tmp_path)
        refused.append(e.value)

    fetch_files((FILE,), tmp_path, server.url, progress=fetch_too)
    assert refused
    assert (tmp_path / "f.gz").read_bytes() == BODY


def test_a_full_disk_is_one_clear_line(server: Server, tmp_path: Path) -> None:
    """Where the file does not fit, the error says so, and the room it took is given back.

    A limit on the size of files stands for the full disk: writing fails in the same place.
    """
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from neurond.data import DataError\n"
        "from neurond.data.download import RemoteFile, fetch_files\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        f"    fetch_files(({FILE!r},), Path(sys.argv[1]), sys.argv[2])\n"
        "except DataError as e:\n"
        "    print(e)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path, server.url], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{tmp_path}: the disk is full; make room, or choose another folder\n"
    assert names(tmp_path) == []


def test_no_permission_is_one_clear_line(server: Server, tmp_path: Path) -> None:
    """A folder that may not be written to is named."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    (tmp_path / "d").mkdir(mode=0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(DataError, match="no permission to write it; choose another folder"):
            get(server, tmp_path / "d")
    finally:
        if root:
            os.seteuid(0)


def test_a_mirror_is_laid_out_like_a_data_folder(
    server: Server, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NEUROND_DATA_URL names a mirror of the whole data folder, and the real MNIST comes through it."""
    for file in IDX_SETS["mnist"].files:
        server.files[f"/data/mnist/{file.name}"] = (data_dir / "mnist" / file.name).read_bytes()
    monkeypatch.setenv("NEUROND_DATA_URL", server.url + "/data/")
    server.breaks = [5_000_000]
    assert fetch("mnist", tmp_path) == tmp_path / "mnist"
    assert load("mnist", data_dir=tmp_path).shape.train == 60_000


def test_the_content_of_another_packing_is_checked(server: Server, tmp_path: Path) -> None:
    """Where the unpacked file's MD5 is known, the same content packed otherwise is right, other content not."""
    content = b"content" * 1000
    file = RemoteFile("f.gz", 100, "0" * 32, content_md5=hashlib.md5(content).hexdigest())
    server.files["/f.gz"] = gzip.compress(content, 1)
    fetch_files((file,), tmp_path, server.url)
    assert gzip.decompress((tmp_path / "f.gz").read_bytes()) == content
    (tmp_path / "f.gz").unlink()
    server.files["/f.gz"] = gzip.compress(content[1:], 1)
    with pytest.raises(DataError, match="what the server sent is not the file"):
        fetch_files((file,), tmp_path, server.url)
    assert names(tmp_path) == []
