"""The programs. Each gets an engine and the purpose its data is collected for, and uses it for advertising.

Run with `security.mfa` a program is a leak; run with `advertising` it is its own safe twin: the same
shape with allowed data. A program of `partial.py` is no leak either way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.corpus.engines import Engine

__all__ = ["PROGRAMS", "Program", "program"]

PHONE = "+14155550100"
EMAIL = "Ann.Example+news@example.com"


@dataclass(frozen=True, slots=True)
class Program:
    """One program: its kind, its name, and whether data of another purpose makes it a leak."""

    kind: str
    name: str
    run: Callable[[Engine, str], object]
    is_leak: bool


PROGRAMS: list[Program] = []


def program(run: Callable[[Engine, str], object]) -> Callable[[Engine, str], object]:
    """Put a function into the corpus, under its module's kind."""
    kind = run.__module__.rpartition(".")[2]
    PROGRAMS.append(Program(kind, run.__name__, run, kind != "partial"))
    return run
