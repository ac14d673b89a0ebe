"""Running a suite of other people's in an environment of its own, without the library and with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.applications.suites import Suite

__all__ = ["Prepared", "Ran", "RegistryError", "prepare", "summary"]

CHECKOUT = Path(__file__).resolve().parent.parent.parent
# The library itself is not installed: without it on the path, it is not there.
LIBRARY_REQUIRES = ("opentelemetry-api>=1.28,<2", "wrapt>=1.17,!=2.2.0,<3", "sqlglot>=26")
LIMIT = 900  # seconds, for one run or one installation


class RegistryError(Exception):
    """The registry of packages did not give what a suite needs."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run gave.

    Args:
        outcomes: How each part of each test ended, by test.
        found: What the labelling plugin saw; empty in a run without the library.
        output: What pytest printed.
    """

    outcomes: Mapping[str, list[str]]
    found: Mapping[str, Any]
    output: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A suite that is unpacked, with an environment that has what it needs.

    Args:
        suite: Which one.
        python: The interpreter of its environment.
        folder: Where its tests are run.
        work: For the files of runs.
    """

    suite: Suite
    python: Path
    folder: Path
    work: Path
    _native: list[Ran] = field(default_factory=list)

    def native(self) -> Ran:
        """Run it without the library, once."""
        if not self._native:
            self._native.append(self._run("native", ()))
        return self._native[0]

    def installed(self) -> Ran:
        """Run it with the library and its sinks, and nothing labelled."""
        return self._with_library((), "advertising.audiences", is_labelled=False)

    def labelled(self, packages: Iterable[str] = (), *, use: str = "advertising.audiences") -> Ran:
        """Run it with every field and column labelled, as collected for `security.mfa` and `security`.

        Args:
            packages: To rewrite on import.
            use: What the sinks and the tests use data for.
        """
        return self._with_library(packages, use, is_labelled=True)

    def _with_library(self, packages: Iterable[str], use: str, *, is_labelled: bool) -> Ran:
        settings = {
            "labelled": is_labelled,
            "packages": list(packages),
            "sources": self.suite.sources,
            "sinks": self.suite.sinks,
            "use": use,
            "found": str(self._found),
        }
        return self._run("labelled", ("-p", "labelling"), LABELLING=json.dumps(settings))

    @property
    def _found(self) -> Path:
        return self.work / "found.json"

    def _run(self, name: str, plugins: tuple[str, ...], **environment: str) -> Ran:
        path = self.work / name  # With what this run may import, and nothing else of the checkout.
        if not path.exists():
            path.mkdir()
            for plugin in ("outcomes", *self.suite.plugins):
                (path / f"{plugin}.py").symlink_to(CHECKOUT / "tests" / "applications" / f"{plugin}.py")
            if plugins:
                (path / "labelling.py").symlink_to(CHECKOUT / "tests" / "applications" / "labelling.py")
                (path / "taint").symlink_to(CHECKOUT / "taint")
        outcomes = self.work / "outcomes.json"
        for file in (outcomes, self._found):
            file.unlink(missing_ok=True)
        own = [option for plugin in self.suite.plugins for option in ("-p", plugin)]
        output = _call(
            [self.python, "-m", "pytest", "-q", "-p", "outcomes", *plugins, *own, *self.suite.arguments],
            cwd=self.folder,
            env=_environment(PYTHONPATH=str(path), OUTCOMES=str(outcomes), **self.suite.settings, **environment),
        )[1]
        assert outcomes.exists(), output
        return Ran(
            json.loads(outcomes.read_text(encoding="utf-8")),
            json.loads(self._found.read_text(encoding="utf-8")) if plugins else {},
            output,
        )


def prepare(suite: Suite, work: Path) -> Prepared:
    """Fetch a suite and what it needs.

    Args:
        suite: Which one.
        work: An empty folder.

    Raises:
        RegistryError: It cannot be fetched.
    """
    subprocess.run([sys.executable, "-m", "venv", work / "environment"], check=True, timeout=LIMIT)
    python = work / "environment" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip: list[str | Path] = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    sources = work / "sdist"
    for command in (
        [*pip, "download", "--no-binary", ":all:", "--no-deps", "--dest", sources, suite.sdist],
        [*pip, "install", *suite.requires, *LIBRARY_REQUIRES],
    ):
        status, output = _call(command, cwd=work, env=_environment())
        if status:
            said = [line for line in output.splitlines() if line.startswith("ERROR")] or output.splitlines()
            raise RegistryError(f"{suite.title} cannot be fetched: {' '.join(said[-1:])}")
    (archive,) = sources.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        opened.extractall(work / "source", **options)  # noqa: S202  # What pip would build and run as well.
    (source,) = (work / "source").iterdir()
    return Prepared(suite, python, source / suite.folder, work)


def summary(ran: Ran) -> Counter[str]:
    """Count how tests ended, each once."""
    return Counter(map(_ended, ran.outcomes.values()))


def _ended(parts: list[str]) -> str:
    for part, name in (
        ("collect failed", "not collected"),
        ("setup failed", "no set-up"),
        ("call failed xfail", "xfailed"),
        ("call skipped xfail", "xfailed"),
        ("call failed", "failed"),
        ("teardown failed", "failed"),
    ):
        if part in parts:
            return name
    return "skipped" if any(part.endswith("skipped") for part in parts) else "passed"


def _environment(**more: str) -> dict[str, str]:
    """Give what the interpreter needs of this process's environment; nothing of the suite that this one is part of."""
    left = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON", "TAINT_"))}
    return {**left, "PYTHONDONTWRITEBYTECODE": "1", **more}


def _call(command: list[str | Path], *, cwd: Path, env: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=LIMIT,
    )
    return done.returncode, done.stdout
