"""Fetching a data set: each file is resumed where it broke off, checked, and only then put in its place.

A file grows as `FILE.part`, which stays when the line breaks, so that the next try goes on from there. What fails
its checksum is deleted. A finished file appears by rename, so nobody ever sees half of one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from neurond.data.catalog import idx_set
from neurond.data.dataset import DataError
from neurond.data.mnist import RemoteFile, data_folders

Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes of it that are here, and its size where that is known."""

TRIES = 5  # of one file, before it is given up
TIMEOUT_S = 20.0  # without a byte from the server
PAUSE_S = 0.5  # after the first failed try; doubles with each

_CHUNK = 1 << 16
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _TryAgain(Exception):  # noqa: N818 - not an error for anyone else to see
    """The line or the server failed in a way that may pass; the text says how."""


def fetch(
    name: str,
    *,
    data_dir: str | Path | None = None,
    base_url: str | None = None,
    progress: Progress | None = None,
    pause_s: float = PAUSE_S,
) -> Path:
    """Brings a data set to this machine, as far as it is not there yet.

    Args:
        name: `mnist` or `fashion-mnist`.
        data_dir: the files go into its subfolder `name`; None is NEUROND_DATA, or else the user's cache.
        base_url: a mirror that is laid out like a data folder, BASE/NAME/FILE; None is NEUROND_DATA_URL, or
            else the data set's public home.
        progress: called as bytes arrive.
        pause_s: wait after the first failed try; doubles with each.

    Returns:
        The folder that now holds the four files.

    Raises:
        DataError: unknown name, no such file on the server, the line fails again and again, wrong checksum,
            disk full, no permission, another process is at it.

    """
    wanted = idx_set(name)
    mirror = base_url or os.environ.get("NEUROND_DATA_URL")
    folder_url = f"{mirror.rstrip('/')}/{name}" if mirror else wanted.url
    if not folder_url.lower().startswith(("http://", "https://")):
        raise DataError(f"{folder_url}: data sets are fetched from http:// or https:// addresses")
    folder = data_folders(data_dir)[0] / name
    fetch_files(wanted.files, folder, folder_url, progress=progress, pause_s=pause_s)
    return folder


def fetch_files(
    files: tuple[RemoteFile, ...],
    folder: Path,
    folder_url: str,
    *,
    progress: Progress | None = None,
    pause_s: float = PAUSE_S,
) -> None:
    """Brings files from `folder_url` into `folder`. Those already there and sound are left alone."""
    tell = progress or _silent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            target = folder / file.name
            if target.is_file() and _is_sound(target, file):
                size = target.stat().st_size
                tell(file.name, size, size)
            else:
                _fetch_file(file, target, f"{folder_url}/{file.name}", tell, pause_s)
    except PermissionError as e:
        raise DataError(f"{e.filename or folder}: no permission to write it; choose another folder") from None
    except OSError as e:
        if e.errno in _FULL:
            raise DataError(f"{folder}: the disk is full; make room, or choose another folder") from None
        raise DataError(f"{e.filename or folder}: cannot be written ({e.strerror or e})") from None


def _fetch_file(file: RemoteFile, target: Path, url: str, progress: Progress, pause_s: float) -> None:
    part = target.with_name(target.name + ".part")
    with _open_part(part) as f:
        for failed in range(TRIES):
            if failed:
                time.sleep(pause_s * 2 ** (failed - 1))
            try:
                resumed = _receive(f, file, url, progress)
            except _TryAgain as e:
                why = str(e)
                continue
            except OSError as e:
                if e.errno in _FULL:
                    f.truncate(0)  # room is what the user needs now
                raise
            if _is_sound(part, file):
                os.fsync(f.fileno())
                part.replace(target)
                _sync_folder(target.parent)
                return
            f.truncate(0)
            why = f"what the server sent is not the file whose MD5 is {file.md5}"
            if not resumed:  # it came whole, and would come again as it is
                raise DataError(f"{url}: {why}; name another mirror with NEUROND_DATA_URL")
        raise DataError(f"{url}: {why}; given up after {TRIES} tries; fetch again to go on from here")


def _receive(f: FileIO, file: RemoteFile, url: str, progress: Progress) -> bool:
    """Appends to `f` what it lacks of the file at `url`; whether it kept what was there before.

    Raises _TryAgain, DataError for what will not pass, and OSError from writing.
    """
    have = f.seek(0, os.SEEK_END)
    headers = {"User-Agent": "neurond", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    response = _open_url(url, headers)
    if response is None:
        return True
    with response:
        kept = have if response.status == 206 else 0
        f.truncate(kept)
        if kept and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            f.truncate(0)
            raise _TryAgain("the server sent another range than was asked for")
        f.seek(kept)
        length = response.headers.get("Content-Length", "")
        total = kept + int(length) if length.isdecimal() else None
        most = 2 * file.size  # a mirror may have packed it less well, but nobody fills the disk
        done = kept
        progress(file.name, done, total)
        while done < most and (chunk := _read(response, done)):
            rest = memoryview(chunk)
            while rest:
                rest = rest[f.write(rest) :]
            done += len(chunk)
            progress(file.name, done, total)
    if done < min(most, file.size if total is None else total):
        raise _TryAgain(f"the connection broke after {done} bytes")
    return kept > 0


def _open_url(url: str, headers: dict[str, str]) -> http.client.HTTPResponse | None:
    """The server's answer, 200 or 206; None where it has nothing beyond the range that was asked for."""
    try:
        request = urllib.request.Request(url, headers=headers)
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as e:
        with e:
            if e.code == 416:
                return None
            if e.code in (408, 429) or e.code >= 500:
                raise _TryAgain(f"the server answered {e.code} {e.reason}") from None
            raise DataError(
                f"{url}: the server answered {e.code} {e.reason}; name another mirror with NEUROND_DATA_URL"
            ) from None
    except urllib.error.URLError as e:
        raise _TryAgain(f"no connection ({_words(e.reason)})") from None
    except (ValueError, http.client.InvalidURL) as e:
        raise DataError(f"{url}: not an address ({_words(e)})") from None
    except (OSError, http.client.HTTPException) as e:
        raise _TryAgain(f"no answer ({_words(e)})") from None
    return response


def _read(response: http.client.HTTPResponse, done: int) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as e:
        raise _TryAgain(f"the connection broke after {done} bytes ({_words(e)})") from None


@contextmanager
def _open_part(part: Path) -> Iterator[FileIO]:
    """The unfinished file, open for this process alone; removed at the end if nothing is in it."""
    with FileIO(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+") as f:
        if not _lock(f, part):
            raise DataError(f"{part}: another process is fetching this file; wait for it")
        try:
            yield f
        finally:
            if _same_file(f, part) and os.fstat(f.fileno()).st_size == 0:
                part.unlink()


def _lock(f: FileIO, part: Path) -> bool:
    try:
        fcntl.flock(f.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _same_file(f, part)  # not if its last owner finished it between our open and our lock


def _same_file(f: FileIO, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(f.fileno()), path.stat())
    return False


def _is_sound(path: Path, file: RemoteFile) -> bool:
    """Whether a file is the right one: as published, or the same content packed by other means."""
    packed, content = hashlib.md5(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
    gzip = zlib.decompressobj(31)
    with path.open("rb") as f:
        while chunk := f.read(_CHUNK):
            packed.update(chunk)
            if file.content_md5:
                with suppress(zlib.error):
                    content.update(gzip.decompress(chunk))
    return packed.hexdigest() == file.md5 or (gzip.eof and content.hexdigest() == file.content_md5)


def _sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` last through a power cut."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _words(reason: object) -> str:
    """What went wrong, on one line."""
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return " ".join(text.split()) or type(reason).__name__


def _silent(_file: str, _done: int, _total: int | None) -> None:
    pass
