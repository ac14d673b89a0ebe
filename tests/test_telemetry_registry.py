"""The registry and what is emitted are the same, both ways: names, types, units, requirement levels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jsonschema  # type: ignore[import-untyped,unused-ignore]  # Its types are a distribution of their own.
import pytest
import yaml
from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum

import taint
from taint import telemetry
from taint.carriers.tracing import with_step
from taint.labels import Step, Trace
from taint.policy import CallSite, Flow, Outcome
from taint.telemetry import attributes as names
from taint.telemetry.providers import SCHEMA_URL
from tests import registry
from tests.pipelines import Pipeline, pipeline
from tests.test_telemetry import a_flow, a_suppressed_flow, phone, upload

__all__ = ["pipeline"]

Emitted = dict[str, list[Mapping[str, Any]]]


def _emit_traced(flow: Flow) -> None:
    step = Step("str.strip", "shop.jobs.match", "shop/jobs.py", 40)
    for one in (flow, replace(flow, outcome=Outcome.GAP), a_suppressed_flow()):
        telemetry.emit(replace(one, labels=with_step(one.labels, step), call_site=CallSite("f", "f.py", 1)))


@pytest.fixture
def emitted(pipeline: Pipeline) -> Emitted:
    """Everything that can be emitted, by the id of its group in the registry."""
    flow = a_flow(labels=taint.labels_of(phone(trace=Trace(1, 2), category="user.contact")))
    for mode in (taint.Mode.BLOCK, taint.Mode.REPORT):
        telemetry.emit(replace(flow, mode=mode))
    telemetry.emit(replace(flow, call_site=None))
    telemetry.emit(replace(flow, outcome=Outcome.GAP))
    telemetry.emit(a_suppressed_flow())
    _emit_traced(flow)
    telemetry.set_up(
        tracer_provider=pipeline.tracer_provider,
        meter_provider=pipeline.meter_provider,
        logger_provider=pipeline.logger_provider,
    )
    for _ in range(3):
        for one in (flow, replace(flow, outcome=Outcome.GAP), a_suppressed_flow()):
            telemetry.emit(one)
    telemetry.declassified(purposes=["a"], sources=["s"], to=["b"], reason="r", approved_by="x")
    telemetry.policy_reloaded("taint.toml", is_accepted=True)
    telemetry.count_loss("plain")
    telemetry.metrics.count_dropped()
    telemetry.observe_known_values(lambda: 7)
    upload("plain")
    found: Emitted = {}
    for span in pipeline.spans:
        found.setdefault(f"span.{span.name}", []).append(span.attributes or {})
        for link in span.links:
            found.setdefault("link.taint.collection", []).append(link.attributes or {})
    for event in pipeline.events:
        found.setdefault(f"event.{event.log_record.event_name}", []).append(event.log_record.attributes or {})
    for group in registry.groups():
        if group["type"] == "metric":
            for key in pipeline.metric(group["metric_name"]):
                found.setdefault(group["id"], []).append(dict(key))
    telemetry.observe_known_values(None)
    return found


def signals() -> dict[str, dict[str, Any]]:
    """Give the registry's groups that are emitted."""
    return {group["id"]: group for group in registry.groups() if group["id"] != "registry.taint"}


def test_same_signals(emitted: Emitted) -> None:
    """Every signal of the registry is emitted, and no other."""
    assert emitted.keys() == signals().keys()


def test_same_attributes_and_levels(emitted: Emitted) -> None:
    """On every signal: required attributes always, conditional ones at times, and none that is not listed."""
    for name, group in signals().items():
        levels = registry.levels(group)
        required = {one for one, level in levels.items() if level == "required"}
        told = [frozenset(attributes) for attributes in emitted[name]]
        assert frozenset().union(*told) == levels.keys(), name
        assert frozenset.intersection(*told) >= required, name


def test_same_types(emitted: Emitted) -> None:
    """Every value has the type, or is one of the members, that the registry gives."""
    defined = registry.attributes()
    kinds: dict[str, type] = {"string": str, "int": int, "boolean": bool, "string[]": tuple}
    for told in emitted.values():
        for attributes in told:
            for name, value in attributes.items():
                if name not in defined:
                    continue  # OpenTelemetry's own.
                kind = defined[name]["type"]
                if isinstance(kind, str):
                    assert type(value) is kinds[kind], name
                else:
                    assert value in {member["value"] for member in kind["members"]}, name


@pytest.mark.parametrize("kind", [taint.Evidence, taint.Mode, taint.Outcome])
def test_members_are_those_of_the_library(kind: Any) -> None:
    """Every evidence, mode and verdict of the library is a member in the registry."""
    name = {taint.Evidence: names.EVIDENCE, taint.Mode: names.MODE, taint.Outcome: names.VERDICT}[kind]
    members = {member["value"] for member in registry.attributes()[name]["type"]["members"]}
    assert members >= {one.value for one in kind}


def test_same_instruments(pipeline: Pipeline) -> None:
    """Units and instruments are those of the registry."""
    telemetry.count_loss("plain")
    telemetry.metrics.count_dropped()
    upload("plain")
    telemetry.emit(a_flow())
    telemetry.emit(a_flow(outcome=Outcome.GAP))
    telemetry.declassified(purposes=["a"], sources=["s"], to=["b"], reason="r", approved_by="x")
    telemetry.observe_known_values(lambda: 7)
    kinds = {Sum: "counter", Histogram: "histogram", Gauge: "gauge"}
    found = {metric.name: (kinds[type(metric.data)], metric.unit, metric.description) for metric in pipeline.metrics()}
    telemetry.observe_known_values(None)
    assert found == {
        group["metric_name"]: (group["instrument"], group["unit"], group["brief"])
        for group in registry.groups()
        if group["type"] == "metric"
    }


def test_constants_are_the_registry() -> None:
    """Every name in the module of names is in the registry, and the other way round."""
    constants = {value for name, value in vars(names).items() if name.isupper() and str(value).startswith("taint.")}
    known = {name for group in registry.groups() for name in (group.get("name"), group.get("metric_name")) if name}
    assert constants == known | registry.attributes().keys() | {names.LINK_COLLECTION}


def test_names_follow_the_rules() -> None:
    """Names are dotted, lower case, under the library's own namespace, and none is also a namespace of another.

    Source: OpenTelemetry's semantic conventions, general/naming.md.
    """
    defined = registry.attributes()
    for name in defined:
        assert re.fullmatch(r"taint(\.[a-z][a-z0-9_]*)+", name)
        assert not any(other.startswith(name + ".") for other in defined)


def test_page_is_generated() -> None:
    """The tables of docs/telemetry.md are those of the registry: `python -m tests.registry` writes them."""
    assert registry.PAGE.read_text(encoding="utf-8") == registry.page()


_TEXT = {"type": "string", "minLength": 1}
_STABILITY = {"enum": ["stable", "development", "alpha", "beta", "release_candidate"]}
_SIMPLE = ("string", "int", "double", "boolean")
_MEMBER = {
    "type": "object",
    "required": ["id", "value", "stability"],
    "properties": {"id": _TEXT, "value": {"type": ["string", "number"]}, "brief": _TEXT, "stability": _STABILITY},
    "additionalProperties": False,
}
_DEFINITION = {
    "type": "object",
    "required": ["id", "type", "brief", "stability"],
    "properties": {
        "id": _TEXT,
        "type": {
            "oneOf": [
                {"enum": [*_SIMPLE, *(f"{kind}[]" for kind in _SIMPLE)]},
                {"type": "object", "required": ["members"], "properties": {"members": {"items": _MEMBER}}},
            ]
        },
        "brief": _TEXT,
        "stability": _STABILITY,
        "examples": {"type": "array", "minItems": 1},
    },
    "additionalProperties": False,
}
_CONDITION = {
    "type": "object",
    "required": ["conditionally_required"],
    "properties": {"conditionally_required": _TEXT},
    "additionalProperties": False,
}
_REFERENCE = {
    "type": "object",
    "required": ["ref"],
    "properties": {"ref": _TEXT, "requirement_level": {"oneOf": [{"enum": ["required", "opt_in"]}, _CONDITION]}},
    "additionalProperties": False,
}


def _group(kind: str, required: dict[str, Any], **others: Any) -> dict[str, Any]:
    common = {
        "id": _TEXT,
        "type": {"const": kind},
        "brief": _TEXT,
        "attributes": {"type": "array", "items": {"oneOf": [_DEFINITION, _REFERENCE]}},
    }
    return {
        "type": "object",
        "required": ["id", "type", "brief", *required],
        "properties": {**common, **required, **others},
        "additionalProperties": False,
    }


# What of weaver's syntax is used here: schemas/semconv-syntax.md and schemas/semconv.schema.json of
# open-telemetry/weaver, read in November 2026.
_FORM = {
    "type": "object",
    "required": ["groups"],
    "properties": {
        "groups": {
            "type": "array",
            "items": {
                "oneOf": [
                    _group("attribute_group", {}, display_name=_TEXT),
                    _group(
                        "span",
                        {
                            "span_kind": {"enum": ["client", "server", "producer", "consumer", "internal"]},
                            "stability": _STABILITY,
                        },
                        name=_TEXT,
                    ),
                    _group("event", {"name": _TEXT, "stability": _STABILITY}),
                    _group(
                        "metric",
                        {
                            "metric_name": _TEXT,
                            "instrument": {"enum": ["counter", "histogram", "gauge", "updowncounter"]},
                            "unit": {"type": "string"},
                            "stability": _STABILITY,
                        },
                    ),
                ]
            },
        }
    },
    "additionalProperties": False,
}


def test_form_is_weavers() -> None:
    """The registry has the form that weaver reads: an identifier that YAML takes for a truth value has not."""
    validator = jsonschema.Draft202012Validator(_FORM)
    read = yaml.safe_load(registry.REGISTRY.read_text(encoding="utf-8"))
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(read)] == []
    assert len({group["id"] for group in read["groups"]}) == len(read["groups"])
    (suppressed,) = [one for one in read["groups"][0]["attributes"] if one["id"] == names.SUPPRESSED]
    suppressed["type"]["members"][0]["id"] = True
    assert list(validator.iter_errors(read))


def test_references_lead_to_a_definition() -> None:
    """Every attribute that a signal names is defined here, or is one of OpenTelemetry's, which the manifest names."""
    own = registry.attributes().keys()
    named = {ref for group in registry.groups() if group["id"] != "registry.taint" for ref in registry.levels(group)}
    others = {names.CODE_FILE_PATH, names.CODE_FUNCTION_NAME, names.CODE_LINE_NUMBER}
    assert named - own == others | {names.ERROR_TYPE, names.SECURITY_RULE_NAME}
    manifest = yaml.safe_load((registry.REGISTRY.parent / "manifest.yaml").read_text(encoding="utf-8"))
    assert manifest["schema_url"] == SCHEMA_URL
    assert [one["schema_url"].rpartition("/")[0] for one in manifest["dependencies"]] == [
        "https://opentelemetry.io/schemas"
    ]
