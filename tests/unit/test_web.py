"""Which requests the console in a browser answers."""

from __future__ import annotations

import pytest

from monitor.console.web import allowed


@pytest.mark.parametrize(
    ("host", "asked", "origin", "answered"),
    [
        ("127.0.0.1", "127.0.0.1:8017", None, True),
        ("127.0.0.1", "localhost:8017", "http://localhost:8017", True),
        ("::1", "[::1]:8017", "http://[::1]:8017", True),
        ("0.0.0.0", "monitor_1.example:8017", None, True),
        ("127.0.0.1", "evil.example", None, False),
        ("127.0.0.1", "127.0.0.1:8017", "http://evil.example", False),
        ("127.0.0.1", "127.0.0.1:8017", "http://[", False),
        ("127.0.0.1", "[::", None, False),
        ("0.0.0.0", "[::", None, False),
        ("0.0.0.0", "a/../b", None, False),
        ("0.0.0.0", 'a"><script>', None, False),
        ("0.0.0.0", "", None, False),
        ("0.0.0.0", "a" * 999, None, False),
    ],
)
def test_who_is_answered(host: str, asked: str, origin: str | None, answered: bool) -> None:
    """Our own page at a name that leads here; not another site, nor a name that is none."""
    assert allowed(host, asked, origin) is answered
