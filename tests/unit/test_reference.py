"""What the documents say of topology files."""

import re
from pathlib import Path

from topology.load import load, loads
from topology.reference import reference

ROOT = Path(__file__).parents[2]
PAGE, README = ROOT / "docs" / "topology.md", ROOT / "README.md"


def test_the_page_is_what_the_model_says() -> None:
    """docs/topology.md is what `python -m topology.reference` prints."""
    assert PAGE.read_text(encoding="utf-8") == reference(), "python -m topology.reference > docs/topology.md"


def test_the_readme_shows_the_network_of_the_zoo() -> None:
    """The topology that README explains is `mnist`, to the last value."""
    shown = re.search(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    assert loads(shown[1]) == load("mnist")
