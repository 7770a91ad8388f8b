"""Any text is a topology or a TopologyError; any topology writes back equal; any graph is judged rightly."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from topology.draw import draw, mermaid
from topology.errors import Problem, TopologyError
from topology.graph import Graph
from topology.load import ZOO, loads, zoo
from topology.resolve import DataShape, resolve
from topology.spec import Topology
from topology.write import dump

FILES = [(ZOO / f"{name}.yaml").read_text() for name in zoo()]
MARKS = [
    "${X",
    "${X}",
    "${X:-1}",
    "$$",
    ": ",
    "- ",
    "-> ",
    "&a ",
    "*a",
    "!!int ",
    "|\n",
    "> ",
    "? ",
    "---\n",
    "%YAML 1.1\n",
]
SCALARS = ["null", "~", ".nan", "-1", "1e400", "9" * 30, "\\x00", "\ufeff", "é", "0", "0.0", "true", "\n", "  "]
WORDS = ["h1", "h2", "out", "source", "loss", "reads", "size", "top_k", "quantum", "exact", "adam", "match", "latest"]
PIECES = st.sampled_from([*"\t{}[]:#'\"", *MARKS, *SCALARS, *WORDS])


def outcome(text: str, *overrides: str) -> Topology | tuple[Problem, ...]:
    """The topology of a text, or why it was refused; anything but a TopologyError fails the test."""
    try:
        return loads(text, "t.yaml", overrides, {"X": "5"})
    except TopologyError as error:
        return error.problems


def is_told_or_writes_back(text: str, *overrides: str) -> bool:
    """Whether a text is refused in lines that each have a place, or is a topology that reads back equal."""
    found = outcome(text, *overrides)
    if isinstance(found, Topology):
        return loads(dump(found), env={}) == found
    placed = all(p.message and (p.line >= 1 or p.file == "--set") for p in found)
    return bool(found) and placed and "\n" not in "".join(map(str, found))


@given(st.text(max_size=200))
def test_any_text_is_a_topology_or_a_topology_error(text: str) -> None:
    """Arbitrary characters never raise anything but TopologyError, every problem of which has a place."""
    assert is_told_or_writes_back(text)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_yaml_like_text_is_a_topology_or_a_topology_error(text: str) -> None:
    """Nor do characters and words that mean something to YAML or to us."""
    assert is_told_or_writes_back(text)


@given(st.data())
def test_any_spoilt_network_is_a_topology_or_a_topology_error(data: st.DataObject) -> None:
    """Cuts, insertions and swapped lines in the zoo's files give a topology that writes back equal, or an error."""
    text = data.draw(st.sampled_from(FILES))
    for _ in range(data.draw(st.integers(1, 4))):
        a = data.draw(st.integers(0, len(text)))
        b = data.draw(st.integers(a, min(len(text), a + 12)))
        text = text[:a] + data.draw(PIECES | st.text(max_size=3) | st.just("")) + text[b:]
    assert is_told_or_writes_back(text)
    t = outcome(text)
    if isinstance(t, Topology):
        assert draw(t)
        assert mermaid(t)


@given(st.sampled_from(FILES), st.lists(PIECES | st.text(max_size=6), max_size=6).map("".join))
def test_any_override_is_a_topology_or_a_topology_error(text: str, override: str) -> None:
    """Arbitrary --set text, as a whole and as a value of a known key, never raises anything else."""
    assert is_told_or_writes_back(text, override)
    assert is_told_or_writes_back(text, f"groups.out.optimizer={override}")
    assert is_told_or_writes_back(text, f"source.data={override}")
    assert is_told_or_writes_back(text, f"place.out={override}", f"limits.source={override}")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=40))
def test_any_printable_name_of_data_writes_back_equal(path: str) -> None:
    """Quotes, dollars, colons, spaces and letters of any script in a value survive dump and load."""
    if any(0xF0000 <= ord(c) <= 0xF007F for c in path):
        path = "csv:x"
    t = loads(FILES[0])
    t = t.model_copy(update={"source": t.source.model_copy(update={"data": path})})
    assert loads(dump(t), env={}).source.data == path


@st.composite
def networks(draw_: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """Groups in a random order, and random links between them that may form cycles."""
    count = draw_(st.integers(1, 8))
    names = [f"g{i}" for i in range(count)]
    possible = [(a, b) for a in ["source", *names] for b in names if a != b]
    links = draw_(st.lists(st.sampled_from(possible), unique=True, min_size=1, max_size=20))
    return draw_(st.permutations(names)), links


@given(networks(), st.integers(1, 3))
def test_any_graph_is_judged_rightly(network: tuple[list[str], list[tuple[str, str]]], shards: int) -> None:
    """A graph loads exactly if it has no cycle and every group lies between source and loss; then it resolves."""
    names, links = network
    readout = "g0"

    def reach(start: str, step: dict[str, set[str]]) -> set[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for name in step.get(todo.pop(), set()) - seen:
                seen.add(name)
                todo.append(name)
        return seen

    post = {a: {y for x, y in links if x == a} for a in ["source", *names]}
    pre = {b: {x for x, y in links if y == b} for b in names}
    cyclic = any(name in reach(name, post) for name in names)
    graph = Graph(names, links)
    assert bool(graph.cycles()) == cyclic
    assert all(c[(i + 1) % len(c)] in post[c[i]] for c in graph.cycles() for i in range(len(c)))
    assert set(graph.unfed()) == set(names) - reach("source", post)
    assert set(graph.unread(readout)) == set(names) - reach(readout, pre) - {readout}

    sizes = "".join(
        f"  {n}: {{size: {3 if n == readout else 4}, shards: {1 if n == readout else shards}}}\n" for n in names
    )
    wires = "".join(f"  {a} -> {b}:\n" for a, b in links)
    text = f"neurond: 1\nsource: {{data: x}}\nloss: {{reads: g0}}\ngroups:\n{sizes}links:\n{wires}"
    assert is_told_or_writes_back(text)
    t = outcome(text)
    fine = not cyclic and not graph.unfed() and not graph.unread(readout)
    assert isinstance(t, Topology) == fine
    if not isinstance(t, Topology):
        return
    plan = resolve(t, DataShape(features=5, classes=3, targets=1, train=10, test=2))
    order = {name: i for i, name in enumerate(plan.processes)}
    incoming = [link for g in plan.groups for link in g.links_in]
    assert sorted(link.index for link in incoming) == list(range(plan.source.confirms))
    assert all(order[link.pre] < order[link.post] for link in incoming)
    assert all(sum(link.n_pre for link in g.links_in) == g.fan_in for g in plan.groups)
    assert draw(t).count("▶") == len(names) + 1
