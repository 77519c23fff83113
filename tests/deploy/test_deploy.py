"""The dashboard and the alerts speak of metrics that a server really has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.certificates import Authority
from tests.conftest import stub_for
from tests.observability.scrape import scrape
from tests.observability.speech import speak
from tests.rpc.streams import config, recognize

DEPLOY = Path(__file__).parents[2] / "deploy"

OURS = re.compile(r"\b(?:asr|grpc_server|process)_[a-z0-9_]+\b")
SELECTOR = re.compile(r"\b((?:asr|grpc_server|process)_[a-z0-9_]+)\{([^}]*)\}")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
OF_PROMETHEUS = {"instance", "job"}
"""Labels that Prometheus adds to whatever it scrapes."""


def dashboard_expressions() -> Iterator[str]:
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def alerts() -> list[dict]:
    groups = yaml.safe_load((DEPLOY / "prometheus-alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in groups["groups"] for rule in group["rules"]]


@pytest.fixture
async def samples(serve, tmp_path) -> dict[str, set[str]]:
    """The names of all samples of a server that has done something, with their labels."""
    pair = Authority(tmp_path).sign("localhost", "127.0.0.1")
    settings = {"metrics_listen": "127.0.0.1:0"}
    tls = {"tls_cert": str(pair.certificate), "tls_key": str(pair.key)}
    found: dict[str, set[str]] = {}
    async with (
        serve(**settings) as running,
        serve(**settings, **tls, workers=1) as encrypted,
    ):
        async with stub_for(running.address) as stub:
            await recognize(stub, speak(running.metrics_address))
            with pytest.raises(Exception, match="served here"):
                await recognize(stub, [config(model="?")])
        for address in (running.metrics_address, encrypted.metrics_address):
            for family in text_string_to_metric_families(await scrape(address)):
                for sample in family.samples:
                    found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_dashboard_is_one(samples):
    """It parses, its panels do not overlap, and all metrics and labels in it exist."""
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))
    places = [tuple(panel["gridPos"][key] for key in "xy") for panel in dashboard["panels"]]
    assert len(set(places)) == len(places) >= 10
    for expression in dashboard_expressions():
        check(expression, samples)


def test_the_alerts_are_rules(samples):
    """Each has a name of its own, an expression of existing metrics, a grade and a sentence."""
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names) >= 8
    for rule in alerts():
        check(rule["expr"], samples)
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}


def check(expression: str, samples: dict[str, set[str]]) -> None:
    names = set(OURS.findall(expression))
    assert names, expression
    assert names <= set(samples), expression
    for name, selector in SELECTOR.findall(expression):
        used = {part.split("=")[0].rstrip("!~") for part in re.split(r",(?=\w+[=!])", selector)}
        assert used <= samples[name] | OF_PROMETHEUS, expression
    known = set().union(*(samples[name] for name in names)) | OF_PROMETHEUS
    for group in GROUPED.findall(expression):
        assert {label.strip() for label in group.split(",")} <= known, expression
    assert expression.count("(") == expression.count(")")
