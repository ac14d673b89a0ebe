"""The Grafana dashboard and the Prometheus alerts: their expressions give data, their alerts fire and keep still."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
DASHBOARDS = CHECKOUT / "dashboards"
RULES = DASHBOARDS / "prometheus-rules.yml"
SCRAPES_PER_SECOND = 5
SECONDS_TO_START = 30


def program(name: str) -> str:
    """Find a program of Prometheus, or skip."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"Prometheus is not installed: {name} is not on PATH (Debian: apt-get install prometheus)")
    return found


def panels() -> list[dict[str, Any]]:
    """Give the panels of the dashboard."""
    found: list[dict[str, Any]] = json.loads((DASHBOARDS / "grafana.json").read_text("utf-8"))["panels"]
    return found


def expressions() -> list[Any]:
    """Give every expression of the dashboard and of the alerts: a parameter for each."""
    grafana = [
        pytest.param(target["expr"], id=f"panel {panel['title']} {target['refId']}")
        for panel in panels()
        for target in panel["targets"]
    ]
    rules = yaml.safe_load(RULES.read_text("utf-8"))
    # A rule gives data when its bound is passed; without the bound, always.
    alerts = [pytest.param(rule["expr"], id=rule["alert"]) for group in rules["groups"] for rule in group["rules"]]
    return grafana + alerts


def for_now(expression: str) -> str:
    """Give an expression of the dashboard as Grafana sends it, over seconds; of an alert what it measures.

    An alert is meant to give nothing while nothing is wrong, and looks back further than a test; its own tests,
    those of `promtool test rules`, hold it to its bound and its past.
    """
    variables = {"$__rate_interval": "2s", "$__range": "1h", "$job": ".*", "$sink": ".*"}
    for name, value in variables.items():
        expression = expression.replace(name, value)
    measured = re.split(r"\s>\s", expression)[0]
    measured = re.sub(r" offset 1[hd]\b", "", measured)
    return re.sub(r"\[\d+[mh]\]", "[2s]", measured) if measured != expression else expression


class Prometheus:
    """A running Prometheus, asked over HTTP.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: str) -> Any:
        """Ask its HTTP API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:  # noqa: S310  # Its own.
            return json.load(answer)["data"]

    def values(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Evaluate an expression now."""
        return [(one["metric"], float(one["value"][1])) for one in self.ask("query", query=expression)["result"]]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Run the example with its metrics exported, and a Prometheus that scrapes it, until it has scraped some times."""
    pytest.importorskip(
        "opentelemetry.exporter.prometheus", reason="opentelemetry-exporter-prometheus is not installed"
    )
    server, folder = program("prometheus"), tmp_path_factory.mktemp("prometheus")
    command = [sys.executable, "-m", "tests.dashboards.scraped"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as scraped:
        assert scraped.stdin is not None
        assert scraped.stdout is not None
        metrics_port = int(scraped.stdout.readline())
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        scraping = {"job_name": "shop", "static_configs": [{"targets": [f"127.0.0.1:{metrics_port}"]}]}
        interval = f"{1000 // SCRAPES_PER_SECOND}ms"
        config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [scraping],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        arguments = [f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={folder / 'data'}"]
        arguments += [f"--config.file={folder / 'prometheus.yml'}", "--log.level=error"]
        with subprocess.Popen([server, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True) as running:
            try:
                found = Prometheus(f"http://127.0.0.1:{port}")
                _wait(found, running)
                yield found
            finally:
                scraped.stdin.close()
                running.terminate()
                running.communicate(timeout=60)


def _wait(prometheus: Prometheus, running: subprocess.Popen[str]) -> None:
    """Wait until 12 scrapes have been stored."""
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end and running.poll() is None:
        try:
            scrapes = prometheus.values("count_over_time(taint_known_values[1m])")
            if scrapes and scrapes[0][1] >= 12:
                return
        except (urllib.error.URLError, ConnectionError):
            pass  # It is not yet there.
        time.sleep(0.1)
    if running.poll() is None:
        pytest.fail("Prometheus scraped nothing in time")
    assert running.stderr is not None
    pytest.fail(f"Prometheus ended: {running.stderr.read()}")


@pytest.mark.slow
@pytest.mark.parametrize("expression", expressions())
def test_expression_gives_data(prometheus: Prometheus, expression: str) -> None:
    """Every expression of the dashboard, and the measure of every alert, gives data of a running application."""
    values = [value for _, value in prometheus.values(for_now(expression))]
    assert any(value > 0 for value in values)


@pytest.mark.slow
def test_alerts_are_loaded_and_fire(prometheus: Prometheus) -> None:
    """Prometheus loads every alert without an error, and those about what the example does are firing or pending."""
    end = time.monotonic() + SECONDS_TO_START
    names = ("WentToAnotherPurpose", "WasStopped", "Undecided", "SignalsDropped")
    expected = {f"PersonalData{name}" for name in names}
    firing: set[str] = set()
    while not firing >= expected and time.monotonic() < end:
        (group,) = prometheus.ask("rules")["groups"]
        assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
        firing = {rule["name"] for rule in group["rules"] if rule["state"] == "firing"}
        time.sleep(0.2)
    assert firing >= expected
    assert "PersonalDataChecksStopped" not in firing


@pytest.mark.slow
def test_every_metric_is_on_the_dashboard(prometheus: Prometheus) -> None:
    """Every metric that the library exports has a panel, and no panel asks for one that it does not export."""
    exported = {name for name in prometheus.ask("label/__name__/values") if name.startswith("taint_")}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in exported}
    asked = {
        name
        for panel in panels()
        for target in panel["targets"]
        for name in re.findall(r"taint_\w+(?=\{)", target["expr"])
    }
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in asked} == families


@pytest.mark.slow
def test_variables_have_values(prometheus: Prometheus) -> None:
    """The lists at the dashboard's top are filled: jobs and sinks."""
    assert prometheus.ask("label/job/values", **{"match[]": "taint_checks_total"}) == ["shop"]
    sinks = prometheus.ask("label/taint_sink_name/values", **{"match[]": 'taint_checks_total{job=~".*"}'})
    assert sinks == ["ads.upload", "crm.export"]


def test_alerts_are_valid_and_tested() -> None:
    """`promtool` finds the rules valid, and their own tests pass: each alert fires, and its twin does not."""
    promtool = program("promtool")
    for arguments in (["check", "rules", RULES.name], ["test", "rules", "prometheus-rules-test.yml"]):
        done = subprocess.run(
            [promtool, *arguments], cwd=DASHBOARDS, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    """No alert is without its test, and none without a safe twin: in a test of its own, or of another series there."""
    rules = yaml.safe_load(RULES.read_text("utf-8"))["groups"][0]["rules"]
    tests = yaml.safe_load((DASHBOARDS / "prometheus-rules-test.yml").read_text("utf-8"))["tests"]
    cases = [(case, one) for one in tests for case in one["alert_rule_test"]]
    for rule in rules:
        own = [(case, test) for case, test in cases if case["alertname"] == rule["alert"]]
        assert any(case["exp_alerts"] for case, _ in own), rule["alert"]
        twins = [
            case
            for case, test in own
            if len(case["exp_alerts"]) < len({s["series"].partition('job="')[2][:4] for s in test["input_series"]})
        ]
        assert twins, rule["alert"]


def test_dashboard_is_whole() -> None:
    """Every panel has its own number, stands in the grid without lying on another, and says what it shows."""
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["title"]
        assert panel["description"]
    assert len({panel["id"] for panel in panels()}) == len(panels())
