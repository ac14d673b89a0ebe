"""Run the corpus on every engine and print what each caught: `python -m tests.corpus`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections import Counter
from collections.abc import Iterable

from tests.corpus import programs
from tests.corpus.engines import ENGINES, Engine
from tests.corpus.programs import PROGRAMS, Program

__all__ = ["judge", "load_programs", "table"]


def load_programs() -> list[Program]:
    """Import every module of programs."""
    for module in pkgutil.iter_modules(programs.__path__):
        importlib.import_module(f"{programs.__name__}.{module.name}")
    return PROGRAMS


def judge(engine: type[Engine], program: Program) -> str:
    """Run a program as a leak and as its safe twin.

    Returns:
        `caught`, `missed`, `passed` (no leak, and none found) or `false alarm`.
    """
    found: list[bool] = []
    for purpose in ("security.mfa", "advertising"):
        with engine() as running:
            program.run(running, purpose)
            found.append(running.has_found())
    leak, twin = found
    if twin or (leak and not program.is_leak):
        return "false alarm"
    if not program.is_leak:
        return "passed"
    return "caught" if leak else "missed"


def table(rows: Iterable[tuple[Program, list[str]]], engines: list[type[Engine]]) -> str:
    """Write the verdicts as a Markdown table, with the sums below."""
    lines = [f"| kind | program | {' | '.join(engine.name for engine in engines)} |", "|---" * (2 + len(engines)) + "|"]
    sums = [Counter[str]() for _ in engines]
    for program, verdicts in rows:
        lines.append(f"| {program.kind} | {program.name.replace('_', ' ')} | {' | '.join(verdicts)} |")
        for counter, verdict in zip(sums, verdicts, strict=True):
            counter[verdict] += 1
    lines += [
        f"| all | {verdict} | {' | '.join(str(counter[verdict]) for counter in sums)} |"
        for verdict in ("caught", "missed", "passed", "false alarm")
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    results = [(program, [judge(engine, program) for engine in ENGINES]) for program in load_programs()]
    print(table(results, ENGINES))
    sys.exit(any("false alarm" in verdicts[0] for _, verdicts in results))
