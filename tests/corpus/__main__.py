"""Run the corpus on every engine and print what each caught: `python -m tests.corpus`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections import Counter

from tests.corpus import programs
from tests.corpus.engines import ENGINES, Engine
from tests.corpus.programs import PROGRAMS, Program

__all__ = ["judge", "load_programs"]

VERDICTS = ("caught", "missed", "passed", "false alarm", "error")


def load_programs(engine: type[Engine] | None = None) -> list[Program]:
    """Import every module of programs, in the way that the engine needs."""
    load = getattr(engine, "load", importlib.import_module)
    for module in pkgutil.iter_modules(programs.__path__):
        load(f"{programs.__name__}.{module.name}")
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


def _judge_all(engine: type[Engine]) -> dict[str, str]:
    verdicts: dict[str, str] = {}
    for program in load_programs(engine):
        try:
            verdicts[f"{program.kind}.{program.name}"] = judge(engine, program)
        except Exception as error:  # noqa: BLE001  # An engine that breaks a program is a verdict too.
            print(f"{program.kind}.{program.name}: {type(error).__name__}", file=sys.stderr)
            verdicts[f"{program.kind}.{program.name}"] = "error"
    return verdicts


def _judge_apart(name: str) -> dict[str, str]:
    """Run one engine in an interpreter of its own: engines patch the same functions."""
    command = [sys.executable, "-m", "tests.corpus", "--engine", name]
    environment = os.environ | {"DD_IAST_ENABLED": "true"}
    found = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    verdicts: dict[str, str] = json.loads(found.stdout.splitlines()[-1])
    return verdicts


def _table(results: dict[str, dict[str, str]]) -> str:
    """Write the verdicts as a Markdown table, with the sums below."""
    lines = [f"| program | {' | '.join(results)} |", "|---" * (1 + len(results)) + "|"]
    names = list(dict.fromkeys(name for verdicts in results.values() for name in verdicts))
    lines += [f"| {name} | {' | '.join(verdicts[name] for verdicts in results.values())} |" for name in names]
    sums = [Counter(verdicts.values()) for verdicts in results.values()]
    lines += [f"| **{verdict}** | {' | '.join(str(counter[verdict]) for counter in sums)} |" for verdict in VERDICTS]
    return "\n".join(lines)


def main() -> int:
    """Print the table; fail where this library raises a false alarm."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--engine", choices=list(ENGINES), help="run one engine and print its verdicts as JSON")
    options = parser.parse_args()
    if options.engine is not None:
        print(json.dumps(_judge_all(ENGINES[options.engine])))
        return 0
    results = {name: _judge_apart(name) for name in ENGINES}
    print(_table(results))
    return int("false alarm" in results["purpose-taint"].values())


if __name__ == "__main__":
    sys.exit(main())
