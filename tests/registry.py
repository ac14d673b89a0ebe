"""The semantic-convention registry, read; `python -m tests.registry` writes its tables into docs/telemetry.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parent.parent
REGISTRY = CHECKOUT / "docs" / "semconv" / "taint.yaml"
PAGE = CHECKOUT / "docs" / "telemetry.md"
BEGIN, END = "<!-- names: begin -->\n", "<!-- names: end -->\n"


def groups() -> list[dict[str, Any]]:
    """Give the groups of the registry."""
    found: list[dict[str, Any]] = yaml.safe_load(REGISTRY.read_text(encoding="utf-8"))["groups"]
    return found


def attributes() -> dict[str, dict[str, Any]]:
    """Give the attributes that the registry defines, by name."""
    return {one["id"]: one for group in groups() for one in group.get("attributes", ()) if "id" in one}


def levels(group: dict[str, Any]) -> dict[str, str]:
    """Give the requirement level of every attribute of a signal."""
    found = {}
    for one in group.get("attributes", ()):
        level = one["requirement_level"]
        found[one["ref"]] = level if isinstance(level, str) else next(iter(level))
    return found


def _type(attribute: dict[str, Any]) -> str:
    kind = attribute["type"]
    return kind if isinstance(kind, str) else " or ".join(f"`{member['value']}`" for member in kind["members"])


def tables() -> str:
    """Write the registry as the page shows it."""
    lines = ["### Signals", "", "| signal | name | what | attributes |", "|---|---|---|---|"]
    for group in groups():
        if group["type"] in {"span", "event", "metric"}:
            name = group.get("metric_name") or group["name"]
            kind = f"{group['instrument']}, `{group['unit']}`" if group["type"] == "metric" else group["type"]
            marks = {"required": "", "conditionally_required": "*"}
            named = ", ".join(f"`{ref}`{marks[level]}" for ref, level in levels(group).items())
            lines.append(f"| {kind} | `{name}` | {group['brief']} | {named} |")
    lines += ["", "\\* only where it applies; the registry says when.", "", "### Attributes", ""]
    lines += ["| attribute | type | what |", "|---|---|---|"]
    lines += [f"| `{name}` | {_type(one)} | {one['brief']} |" for name, one in sorted(attributes().items())]
    return "\n".join(lines) + "\n"


def page() -> str:
    """Give the page with its tables made anew."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return head + BEGIN + tables() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
