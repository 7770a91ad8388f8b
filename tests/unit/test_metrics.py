"""The metrics of Prometheus: what is served of a view, the page that lists it, and the dashboard that shows it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from ruamel.yaml import YAML

from monitor import metrics as served
from monitor.metrics import metrics
from monitor.view import View
from neurond.cli.metrics import LISTEN
from tests.dashboard import DEPLOY, dashboard, panels, queried
from topology.wire import Event, Telemetry

ROOT = Path(__file__).parents[2]
STATUS = {"run": "digits", "state": "running", "generation": 3, "wire_errors": 0, "drops": {"full peer": 2}} | {
    "denied": 5,
    "impostors": 0,
}


def view(*told: Telemetry | Event) -> View:
    """A view of a run of two processes that were heard to say this."""
    made = View(("source", "h2.0"), "digits", "/runs/20260101-digits")
    for i, message in enumerate(told):
        made.update(message, float(i))
    return made


def group(counters: dict[str, int], *, incarnation: int = 1, seq: int = 1, **gauges: float) -> Telemetry:
    """Telemetry of a shard, with one link."""
    links = {"source -> h2.0": {"received": counters.get("stimuli", 0), "gaps": 0}}
    return Telemetry("h2.0", "group", incarnation, seq, counters, gauges, links)


def samples(families: list[Metric]) -> dict[tuple[str, str], float]:
    """(metric, process or nothing) -> value; the last one where several differ in another label."""
    return {(s.name, s.labels.get("process", "")): s.value for family in families for s in family.samples}


def text(families: list[Metric]) -> str:
    """What a scrape gets."""

    class Fixed:
        def collect(self) -> list[Metric]:
            return families

    registry = CollectorRegistry()
    registry.register(Fixed())  # type: ignore[arg-type]
    return generate_latest(registry).decode()


def test_before_there_is_a_broker() -> None:
    """Without an answer nothing is made up: only that there is no broker, and what was lost here."""
    families = metrics(View(()), {}, False, 0, 0)
    names = {"neurond_broker_up", "neurond_feed_drops_total", "neurond_feed_wire_errors_total"}
    assert samples(families) == {(name, ""): 0 for name in names}


def test_a_broker_that_says_less() -> None:
    """What a recorded answer does not say, or says in words, is left out; the run and its processes are served."""
    least = {"run": "digits", "run_dir": "/runs/20260101-digits", "state": "running"}
    for status in (
        least,
        least | {"generation": "third", "denied": None, "drops": [1]},
        least | {"drops": {"full": "x"}},
    ):
        found = {name for name, _ in samples(metrics(view(group({"stimuli": 1})), status, True, 0, 0))}
        assert {"neurond_run_info", "neurond_stimuli_total"} <= found
        assert not any(re.search("broker_(?!up)|checkpoint", name) for name in found)


def test_labels_and_units() -> None:
    """Each process has its labels, the group being that of the topology; memory is in bytes, CPU in seconds."""
    told = text(metrics(view(group({"bytes": 7}, rss_mib=2.0, cpu_s=1.5, lr=0.1)), STATUS, True, 0, 0))
    labels = 'group="h2",process="h2.0",run="20260101-digits"'
    assert f"neurond_sent_bytes_total{{{labels}}} 7.0" in told
    assert f"neurond_resident_memory_bytes{{{labels}}} 2.097152e+06" in told
    assert f"neurond_cpu_seconds_total{{{labels}}} 1.5" in told
    assert f"neurond_learning_rate{{{labels}}} 0.1" in told
    link = 'group="h2",link="source -> h2.0",process="h2.0",run="20260101-digits",way="forward"'
    assert f"neurond_link_gaps_total{{{link}}} 0.0" in told
    assert 'neurond_broker_drops_total{reason="full peer",run="20260101-digits"} 2.0' in told
    assert 'neurond_broker_denied_total{run="20260101-digits"} 5.0' in told
    assert 'neurond_run_info{name="digits",run="20260101-digits",state="running"} 1.0' in told
    assert 'neurond_process_up{group="source",process="source",run="20260101-digits"} 0.0' in told


def test_totals_never_fall() -> None:
    """A process that is started anew counts from nothing, and its counters, links and CPU time go on all the same."""
    counts = {"stimuli": 100, "staleness_sum": 50, "staleness_count": 10}
    first = group(counts, cpu_s=3.0)
    again = group({"stimuli": 5, "staleness_sum": 2, "staleness_count": 1}, incarnation=2, cpu_s=0.5)
    late = group({"stimuli": 120, "staleness_sum": 60, "staleness_count": 12}, seq=2, cpu_s=4.0)
    before = samples(metrics(view(first), STATUS, True, 0, 0))
    after = samples(metrics(view(first, again), STATUS, True, 0, 0))
    for name in ("stimuli_total", "staleness_sum", "staleness_count", "cpu_seconds_total", "restarts_total"):
        assert after[f"neurond_{name}", "h2.0"] > before[f"neurond_{name}", "h2.0"], name
    assert after["neurond_stimuli_total", "h2.0"] == 105
    assert after["neurond_link_received_frames_total", "h2.0"] == 105
    assert after["neurond_cpu_seconds_total", "h2.0"] == 3.5
    assert after["neurond_restarts_total", "h2.0"] == 1
    assert samples(metrics(view(first, again, late), STATUS, True, 0, 0)) == after  # from the one that is gone


def test_what_is_confirmed_once_more_counts_once() -> None:
    """A source that goes back to its last checkpoint confirms some stimuli again; the count waits for new ones."""

    def source(confirmed: int, incarnation: int, seq: int, restored: float) -> Telemetry:
        gauges = {"restored": restored}
        return Telemetry("source", "source", incarnation, seq, {"confirmed": confirmed}, gauges, {})

    told = [source(100, 1, 1, 0.0), source(80, 2, 1, 1.0), source(95, 2, 2, 1.0), source(130, 2, 3, 1.0)]
    views = [view(*told[:n]) for n in (1, 2, 3, 4)]
    counts = [samples(metrics(seen, STATUS, True, 0, 0))["neurond_confirmed_total", "source"] for seen in views]
    assert counts == [100, 100, 100, 130]


def test_which_way_it_went() -> None:
    """What an end of a link sends goes forward from the pre process and back from the post one; the rest comes in."""
    links = {"h1 -> h2.0": {"values": 3, "gaps": 1}, "h2.0 -> out": {"values": 4, "gaps": 2}}
    families = metrics(view(Telemetry("h2.0", "group", 1, 1, {}, {}, links)), STATUS, True, 0, 0)
    found = {
        (s.name, s.labels["link"], s.labels["way"]): s.value for f in families for s in f.samples if "way" in s.labels
    }
    assert found == {
        ("neurond_link_sent_values_total", "h1 -> h2.0", "back"): 3.0,
        ("neurond_link_gaps_total", "h1 -> h2.0", "forward"): 1.0,
        ("neurond_link_sent_values_total", "h2.0 -> out", "forward"): 4.0,
        ("neurond_link_gaps_total", "h2.0 -> out", "back"): 2.0,
    }


def test_what_is_injected() -> None:
    """Latency and loss on purpose are served with the peer that they are for, which may be a shard."""
    gauges = {"delay_s.out": 0.25, "loss.h1.1": 0.1, "loss.": 1.0, "heat.out": 1.0}
    families = metrics(view(group({}, **gauges)), STATUS, True, 0, 0)
    found = {(s.name, s.labels["peer"]): s.value for f in families for s in f.samples if "peer" in s.labels}
    assert found == {
        ("neurond_injected_delay_seconds", "out"): 0.25,
        ("neurond_injected_loss_ratio", "h1.1"): 0.1,
    }
    assert not any("heat" in family.name for family in families)


def test_what_no_table_knows() -> None:
    """A counter of a later version is served under its own name; one that could be no name, or no counter, is not."""
    odd = {"replays": 4, "x y": 1, "": 1, "a_total": 1, "9": 1}
    families = metrics(view(group(odd, hot=1.0, a_total=2.0)), STATUS, True, 0, 0)
    found = {name for name, _ in samples(families)}
    assert {"neurond_replays_total", "neurond_hot"} <= found
    assert not any(re.search(r"[^a-z_]|total_total|_a_total", name) for name in found)


def test_state_of_a_process() -> None:
    """Who was lost takes no part, and its state is its label."""
    lost = Event("broker", "lost", {"process": "h2.0", "why": "no beat"})
    families = metrics(view(group({"stimuli": 1}), lost), STATUS, True, 0, 0)
    found = samples(families)
    assert found["neurond_process_up", "h2.0"] == 0
    assert 'process="h2.0",run="20260101-digits",state="lost"} 1.0' in text(families)


def test_the_page_lists_what_is_served() -> None:
    """docs/metrics.md is what the tables say."""
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == served.page()


# --- what is deployed beside it -----------------------------------------------------------------------


def test_the_dashboard_shows_what_is_served() -> None:
    """The dashboard asks for all that the page of what is served lists, the histogram by its parts, and no more."""
    listed = set(re.findall(r"^\| `(neurond_\w+)`", served.page(), re.MULTILINE))
    parts = {f"neurond_staleness_{part}" for part in ("bucket", "sum", "count")}
    assert queried() == listed - {"neurond_staleness"} | parts


def test_the_dashboard_is_whole() -> None:
    """Panels have numbers of their own, lie beside each other and on none, and read the provisioned data source."""
    everything = dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    source = _yaml("grafana/datasources/prometheus.yaml")["datasources"][0]["uid"]
    taken: set[tuple[int, int]] = set()
    for panel in everything:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["title"]
    for panel in panels():
        assert {part["datasource"]["uid"] for part in (panel, *panel["targets"])} == {source}
        assert panel["description"]
        assert panel["type"] in ("heatmap", "table") or panel["fieldConfig"]["defaults"]["unit"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    assert {x for x, _ in taken} == set(range(24))


def test_who_asks_whom() -> None:
    """Prometheus asks the port that the exporter listens at, and Grafana asks Prometheus."""
    (job,) = _yaml("prometheus.yml")["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["metrics:" + LISTEN.rpartition(":")[2]]}]
    (source,) = _yaml("grafana/datasources/prometheus.yaml")["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)


@pytest.mark.parametrize("word", ["password", "secret", "token", "alert"])
def test_nothing_secret_and_no_alert(word: str) -> None:
    """The configuration holds no password, and sends nobody an alert."""
    for file in DEPLOY.rglob("*.*"):
        assert word not in file.read_text(encoding="utf-8").lower(), file


def _yaml(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load((DEPLOY / name).read_text(encoding="utf-8"))
    return found


def test_staleness_is_a_histogram() -> None:
    """Each bucket of Prometheus holds what is at most its bound: the processes' own buckets, summed up from below."""
    counts = {"staleness_sum": 17, "staleness_count": 8, "staleness_0": 3, "staleness_1": 2, "staleness_2": 2}
    families = metrics(view(group({**counts, "staleness_4": 1})), STATUS, True, 0, 0)
    (family,) = (f for f in families if f.name == "neurond_staleness")
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name == "neurond_staleness_bucket"}
    assert buckets == {"0": 3.0, "1": 5.0, "3": 7.0, "+Inf": 8.0}
