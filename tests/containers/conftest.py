"""The image that the container tests run, built from the project's own Dockerfile.

Its base is an image with Python. Where none can be pulled, a stand-in is made of Debian's packages: it takes the
part of the public one by the Dockerfile's build argument, so that what is built and run is the real thing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.compose import Stack, docker

REPO = Path(__file__).resolve().parents[2]
BASE = "neurond-tests/base"
IMAGE = os.environ.get("NEUROND_TEST_IMAGE", "neurond-tests/neurond")  # another name where others use the engine too
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
MAKE_S = 300.0  # to make the base, or the image
OFFLINE = re.compile("name resolution|establish a new connection|No matching distribution|timed out", re.IGNORECASE)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of this folder carry the mark `containers`, and time enough to build the image first."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.containers)
            item.add_marker(pytest.mark.timeout(2 * MAKE_S + 120))


@pytest.fixture(scope="session")
def engine() -> None:
    """A container engine that answers; the test is skipped where there is none."""
    if shutil.which("docker") is None:
        pytest.skip("no container engine: docker is not installed")
    try:
        answer = docker("version", "--format", "{{.Server.Version}}", check=False, timeout_s=20)
    except subprocess.TimeoutExpired:
        pytest.skip("no container engine: docker does not answer")
    if answer.returncode:
        pytest.skip(f"no container engine: {answer.stderr.strip().splitlines()[-1]}")


@pytest.fixture(scope="session")
def base(engine: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image with Python: NEUROND_TEST_BASE, the stand-in of an earlier run, or a new one."""
    named = os.environ.get("NEUROND_TEST_BASE")
    if named:
        return named
    if docker("image", "inspect", BASE, check=False).returncode:
        _make_base(tmp_path_factory.mktemp("base") / "root")
    return BASE


@pytest.fixture(scope="session")
def image(base: str) -> str:
    """The image, built by the Dockerfile from what a clone has."""
    proxies = [f"--build-arg={name}={os.environ[name]}" for name in PROXIES if name in os.environ]
    build = ["build", "--build-arg", f"BASE={base}", *proxies, "--tag", IMAGE, str(REPO)]
    try:
        built = docker(*build, check=False, timeout_s=MAKE_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the image could not be built within {MAKE_S:g} s")
    if built.returncode:
        told = built.stdout + built.stderr
        if OFFLINE.search(told):
            pytest.skip(f"the image cannot be built without a package index: {told.strip().splitlines()[-1]}")
        pytest.fail(f"the image cannot be built:\n{told}", pytrace=False)
    return IMAGE


@pytest.fixture
def stack(image: str, base: str, tmp_path: Path) -> Iterator[Stack]:
    """docker-compose on a file of the test's own project; nothing of it is left afterwards."""
    made = Stack(_compose(), tmp_path, {"NEUROND_BASE": base, "NEUROND_IMAGE": image})
    yield made
    made.remove()


def _compose() -> list[str]:
    """The command that there is: the plugin, or the old one."""
    if docker("compose", "version", check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        pytest.skip("neither the plugin `docker compose` nor docker-compose is installed")
    return ["docker-compose"]


def _make_base(root: Path) -> None:
    """Debian with its own Python, and this machine's way to the package index, as an image."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip(
            "a base image is made by root only; NEUROND_TEST_BASE may name one with Python and its venv module"
        )
    if shutil.which("debootstrap") is None:
        pytest.skip("no debootstrap to make a base image with; NEUROND_TEST_BASE may name one")
    packages = "--include=python3,python3-venv,ca-certificates"
    try:
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", str(root)],
            capture_output=True,
            text=True,
            timeout=MAKE_S,
            check=False,
        )
        if made.returncode:
            pytest.skip(f"no base image: debootstrap: {(made.stdout + made.stderr).strip().splitlines()[-1]}")
        for leftover in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(root / leftover, ignore_errors=True)
        _way_to_packages(root)
        leave_out = ["--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*"]
        with subprocess.Popen(["tar", "-C", str(root), *leave_out, "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run(["docker", "import", "-", BASE], stdin=tar.stdout, check=True, capture_output=True)
    except subprocess.TimeoutExpired:
        pytest.skip(f"no base image: debootstrap took longer than {MAKE_S:g} s")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _way_to_packages(root: Path) -> None:
    """What this machine's pip is configured to, for the image of the tests alone."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    known = dict(re.findall(r"^[\w:]+\.(cert|index-url|extra-index-url|trusted-host|proxy)='(.*)'$", listed, re.M))
    bundle = Path(known.get("cert", CERTIFICATES))
    if bundle.is_file():
        shutil.copy(bundle, root / CERTIFICATES.relative_to("/"))
    if known:
        lines = [f"{key} = {CERTIFICATES if key == 'cert' else value}" for key, value in known.items()]
        (root / "etc/pip.conf").write_text("\n".join(["[global]", *lines, ""]), encoding="utf-8")
