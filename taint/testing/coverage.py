"""Flow coverage: which declared sources and sinks the tests reach, and what flowed between them."""

from __future__ import annotations

from typing import Any

from taint.evidence.catalog import catalog
from taint.flows.declared import SINKS, SOURCES
from taint.policy import Flow, current_policy

__all__ = ["FlowCoverage"]


class FlowCoverage:
    """What a run reached. The percentage is that of declared sources and sinks; most pairs are not meant to be."""

    def __init__(self) -> None:
        self.pairs: set[tuple[str, str, str]] = set()
        self._declared: dict[str, dict[str, str]] = {"source": {}, "sink": {}}
        self._reached: dict[str, set[str]] = {"source": set(), "sink": set()}

    def add(self, flow: Flow) -> None:
        """Note a flow."""
        for source in flow.labels.sources:
            self.pairs.add((source, flow.sink, flow.outcome.value))

    def _look(self) -> None:
        for kind, declarations in (("source", SOURCES), ("sink", SINKS)):
            self._declared[kind] |= declarations.where
            self._reached[kind] |= declarations.reached & declarations.where.keys()
        columns = catalog.sources
        self._declared["source"] |= {name: f"column {column}" for name, column in columns.items()}
        self._reached["source"] |= catalog.reached & columns.keys()
        policy = current_policy()
        for address in policy.addresses:
            self._declared["sink"].setdefault(address.sink, policy.origin)

    def as_data(self) -> dict[str, Any]:
        """Give it as plain data, for the controller of a distributed run."""
        self._look()
        return {
            "pairs": sorted(self.pairs),
            "declared": self._declared,
            "reached": {kind: sorted(names) for kind, names in self._reached.items()},
        }

    def join(self, data: dict[str, Any]) -> None:
        """Add what another process reached."""
        self.pairs |= {(source, sink, verdict) for source, sink, verdict in data["pairs"]}
        for kind, names in data["declared"].items():
            self._declared[kind] |= names
        for kind, names in data["reached"].items():
            self._reached[kind] |= set(names)

    @property
    def percent(self) -> float:
        """How much of what is declared was reached; 100 where nothing is."""
        self._look()
        declared = sum(map(len, self._declared.values()))
        return 100.0 * sum(map(len, self._reached.values())) / declared if declared else 100.0

    def lines(self) -> list[str]:
        """Say it for people."""
        self._look()
        reached, declared = (sum(map(len, one.values())) for one in (self._reached, self._declared))
        said = [f"flow coverage: {reached} of {declared} sources and sinks reached ({self.percent:.0f} %)"]
        for kind, names in self._declared.items():
            said += [
                f"  never reached: {kind} {name} ({names[name]})" for name in sorted(names.keys() - self._reached[kind])
            ]
        said += [f"  {source} -> {sink}: {verdict}" for source, sink, verdict in sorted(self.pairs)]
        return said
