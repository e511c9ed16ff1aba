"""The alert rules and their runbook name only what exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric

from orchestrator.services.instruments import PREFIX, Instruments
from orchestrator.services.metrics import FAMILIES, PER_ENDPOINT

DOCS = Path(__file__).parents[2] / "docs"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DOCS / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
SCRAPED = {"instance", "job"}
WORDS = re.compile(r"\b(orchestrator_\w+)(\{[^}]*\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")


def known() -> dict[str, set[str]]:
    """Return the labels of every sample by its name."""
    found = {PREFIX + name: set(one.labels) for name, one in (FAMILIES | PER_ENDPOINT).items()}
    instruments = Instruments()
    for collector in list(instruments.registry._collector_to_names):
        described: Any = collector
        for metric in described.describe():
            found |= dict.fromkeys(_samples(metric), _labels(collector, metric))
    return found


def _samples(metric: Metric) -> set[str]:
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {metric.name + end for end in ends.get(metric.type, ("",))}


def _labels(collector: Any, metric: Metric) -> set[str]:
    own = getattr(collector, "_labelnames", getattr(metric, "_labelnames", ()))
    return {*own, *(("le",) if metric.type == "histogram" else ())}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_names_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    metrics, expr = known(), rule["expr"]
    used = WORDS.findall(expr)
    assert used
    labels: set[str] = set()
    for name, selector in used:
        assert name in metrics, f"{name} is no metric"
        chosen = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
        assert chosen <= metrics[name] | SCRAPED, f"{name} has no such label: {chosen}"
        labels |= metrics[name]
    for group in GROUPED.findall(expr):
        wanted = {label.strip() for label in group.split(",")}
        assert wanted <= labels | SCRAPED, f"{wanted} are no labels of {used}"
    told = " ".join(rule["annotations"].values())
    shown = set(re.findall(r"\$labels\.(\w+)", told))
    kept = {label.strip() for group in GROUPED.findall(expr) for label in group.split(",")}
    assert shown <= kept, f"{shown - kept} are not kept by the expression"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_rule_says_what_is_wrong_and_what_to_do_first(rule: dict[str, Any]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "first"}
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert f"\n### {rule['alert']}\n" in (DOCS / "monitoring.md").read_text()


def test_the_runbook_knows_no_other_alert() -> None:
    headings = re.findall(r"^### (\w+)$", (DOCS / "monitoring.md").read_text(), re.MULTILINE)
    assert headings
    assert sorted(headings) == sorted(rule["alert"] for rule in RULES)


def test_every_metric_is_written_down() -> None:
    text = (DOCS / "monitoring.md").read_text()
    for name in known():
        short = re.sub(r"_(bucket|sum|count)$", "", name.removeprefix(PREFIX))
        if short.startswith(("cost_", "burn_")) or short in PER_ENDPOINT:
            continue  # told as families
        assert f"`{short}`" in text, f"{short} is not in docs/monitoring.md"


def test_the_check_finds_a_metric_that_is_not_there() -> None:
    rule = {"expr": "max by (account) (orchestrator_no_such_thing) > 0", "annotations": {}}
    with pytest.raises(AssertionError, match="orchestrator_no_such_thing is no metric"):
        test_a_rule_names_metrics_and_labels_that_exist(rule)
