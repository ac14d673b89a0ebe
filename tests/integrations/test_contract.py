"""The contract of integrations, over all of them: names, documents, requirements, putting on and taking off."""

import ast
import importlib
import importlib.metadata
import inspect
import json
import subprocess
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import orjson
import pytest

import taint
from taint.integrations.base import Integration, unmet
from taint.integrations.registry import INTEGRATIONS, install_integrations, integration_names, uninstall_integrations
from taint.propagation import patches

CHECKOUT = Path(__file__).resolve().parent.parent.parent
NAMES = sorted(INTEGRATIONS)
# Modules that integrations share; every other file in the folder is an integration.
SHARED = {
    "__init__",
    "aiohttp_sockets",
    "base",
    "calls",
    "cursors",
    "django_labels",
    "django_queries",
    "django_requests",
    "enveloped",
    "file_descriptors",
    "file_moves",
    "json_calls",
    "lxml_calls",
    "lxml_documents",
    "lxml_elements",
    "lxml_found",
    "lxml_holding",
    "markup_carrier",
    "msgpack_tree",
    "outgoing",
    "reading",
    "redacting",
    "redis_commands",
    "redis_channels",
    "redis_envelopes",
    "redis_members",
    "redis_streams",
    "redis_unfollowed",
    "registry",
    "sqlalchemy_consent",
    "sqlalchemy_lineage",
    "sqlalchemy_results",
    "sqlalchemy_rows",
    "writers",
}


def class_of(name: str) -> type[Integration]:
    """Load an integration's class by its registry line."""
    module, _, attribute = INTEGRATIONS[name].partition(":")
    found: type[Integration] = getattr(importlib.import_module(module), attribute)
    return found


def targets() -> list[tuple[Any, str, Any]]:
    """List what is wrapped now: owner, name and the original."""
    return [(applied.patch.owner, applied.patch.name, applied.original) for applied in patches._applied]


# kafka-python's own, when this file is the first to import it.
pytestmark = pytest.mark.filterwarnings("ignore:(read_text|open_text) is deprecated:DeprecationWarning")


def run(code: str) -> str:
    """Run a program in a fresh interpreter and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, cwd=CHECKOUT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_registry_lists_every_file() -> None:
    """Every file in integrations/ is in the registry or is one of the shared modules."""
    files = {path.stem for path in (CHECKOUT / "integrations").glob("*.py")}
    assert files - SHARED == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_one_identifier(name: str) -> None:
    """Identifier, file, extra and test file have one name, and the extra asks for what the class requires."""
    integration = class_of(name)
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert integration.identifier == name
    assert integration.__module__ == f"taint.integrations.{name}"
    assert (CHECKOUT / "integrations" / f"{name}.py").is_file()
    assert (CHECKOUT / "tests" / "integrations" / f"test_{name}.py").is_file()
    assert sorted(extras[name]) == sorted(integration.requires)
    assert f"purpose-taint[{','.join(NAMES)}]" in extras["integrations-test"]


@pytest.mark.parametrize("name", NAMES)
def test_documents(name: str) -> None:
    """The module says what is a source, a sink, covered and not covered, shows its use, and has a row in the table."""
    module = importlib.import_module(f"taint.integrations.{name}")
    text = inspect.getdoc(module) or ""
    for part in ("Source: ", "Sink: ", "Covered: ", "Not covered: ", "    import taint\n", f'integrations=["{name}"]'):
        assert part in text
    table = (CHECKOUT / "docs" / "integrations.md").read_text(encoding="utf-8")
    assert table.count(f"\n| `{name}` |") == 1


@pytest.mark.parametrize("name", NAMES)
def test_example_in_docstring_runs(name: str) -> None:
    """The lines of use in the module's docstring run, and what they show last is labelled."""
    text = inspect.getdoc(importlib.import_module(f"taint.integrations.{name}")) or ""
    *lines, last = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    assert 4 <= len(lines) <= 8
    assert run("\n".join([*lines, f"print(bool({last.partition('#')[0].strip()}))"])) == "True"


@pytest.mark.parametrize("name", NAMES)
def test_third_party_imports_are_inside_functions(name: str) -> None:
    """No integration imports its library when it is itself imported."""
    tree = ast.parse((CHECKOUT / "integrations" / f"{name}.py").read_text(encoding="utf-8"))
    roots = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or "").partition(".")[0])
    assert roots <= {"taint", "wrapt", *sys.stdlib_module_names}


def test_nothing_is_imported() -> None:
    """Importing taint imports no integration, and install() imports no library; each waits for its own."""
    code = f"""
import sys
before = set(sys.modules)
import taint
names = {NAMES!r}
print(sorted(name for name in sys.modules if name.startswith("taint.integrations.") and name.split(".")[2] in names))
taint.install()
print(sorted(set(names) & set(sys.modules) - before - set(sys.stdlib_module_names)))
import orjson
from taint.integrations.registry import _installed
standard = {"files", *sys.stdlib_module_names}
print([one.identifier for one in _installed if one.is_on and one.identifier not in standard])
print(sorted(one.identifier for one in _installed) == names)
"""
    assert run(code).splitlines() == ["[]", "[]", "['orjson']", "True"]


def held(owner: Any, name: str) -> Any:
    """Give what a module, class or dict has under a name."""
    return owner[name] if isinstance(owner, dict) else inspect.getattr_static(owner, name)


@pytest.mark.parametrize("name", NAMES)
def test_install_twice_is_once(name: str) -> None:
    """A second install() wraps nothing again."""
    importlib.import_module(class_of(name).waits_for or name)
    taint.install(integrations=[name])
    once = [id(held(owner, attribute)) for owner, attribute, _ in targets() if not isinstance(owner, type)]
    count = len(targets())
    taint.install(integrations=[name])
    assert len(targets()) == count
    assert [id(held(owner, attribute)) for owner, attribute, _ in targets() if not isinstance(owner, type)] == once


@pytest.mark.parametrize("name", NAMES)
def test_uninstall_restores_identical_objects(name: str) -> None:
    """After uninstall() every function of the library is the very object that it was, and no patch is left."""
    importlib.import_module(class_of(name).waits_for or name)
    integration = class_of(name)()
    assert targets() == []
    integration.install()
    wrapped = targets()
    assert wrapped
    for owner, attribute, original in wrapped:
        assert held(owner, attribute) is not original
    integration.uninstall()
    for owner, attribute, original in wrapped:
        assert held(owner, attribute) is original
    assert targets() == []
    assert not integration.is_on
    integration.uninstall()
    integration.install()
    assert len(targets()) == len(wrapped)
    integration.uninstall()


@pytest.mark.parametrize("name", NAMES)
def test_requires_is_met_here(name: str) -> None:
    """The tests run with a supported version of every library."""
    assert unmet(class_of(name).requires) == ""


@pytest.mark.parametrize("name", [name for name in NAMES if class_of(name).requires])
def test_requires_is_checked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unsupported version is an error that says what is installed, what is supported and what to do."""
    integration = class_of(name)
    first = integration.requires[0].partition(">=")[0]
    monkeypatch.setattr(integration, "requires", (f"{first}>=999",))
    with pytest.raises(taint.IntegrationError) as caught:
        integration().install()
    message = str(caught.value)
    for part in (repr(name), repr(first), importlib.metadata.version(first), repr(f"{first}>=999"), "Install that"):
        assert part in message
    assert targets() == []


def test_library_that_is_not_there() -> None:
    """A library that is not installed is an error that says so."""

    class Absent(Integration):
        identifier = "absent"
        requires = ("no-such-distribution>=1",)

        def _install(self) -> None:
            raise AssertionError

    with pytest.raises(taint.IntegrationError, match="'no-such-distribution' is not installed"):
        taint.install(integrations=[Absent()])


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("taint.install()", 0),
        ("taint.install(); import orjson", 1),
        ("import orjson; taint.install()", 1),
        ("import orjson; taint.install(); taint.uninstall(); taint.install()", 1),
        ("taint.install(); taint.uninstall(); import orjson", 0),
        ("taint.install(integrations=['idna']); import orjson", 0),
    ],
)
def test_what_is_left_out_is_said_when_it_is_imported(program: str, said: int) -> None:
    """A library that cannot be followed is named, once, in a program that imports it, and in no other."""
    lines = [
        "import logging, sys, taint",
        "from taint.integrations.orjson import OrjsonIntegration",
        "OrjsonIntegration.requires = ('orjson>=999',)",
        "logging.basicConfig(stream=sys.stdout, format='%(message)s')",
        program,
    ]
    assert run("\n".join(lines)).count("left out: integration 'orjson'") == said


@pytest.mark.parametrize(
    ("requirement", "is_met"),
    [
        ("pytest", True),
        ("pytest>=1", True),
        ("pytest>=1,<900", True),
        ("pytest >= 1, < 900", True),
        ("pytest!=0.1", True),
        ("pytest>=900", False),
        ("pytest<1", False),
        ("pytest==0.0.1", False),
    ],
)
def test_requirement(requirement: str, is_met: bool) -> None:
    """Bounds are compared by the numbers of the release."""
    assert (unmet((requirement,)) == "") is is_met


def test_requirement_that_is_none() -> None:
    """What is not written as a requirement is an error, not a requirement that is met."""
    with pytest.raises(taint.IntegrationError, match="not a requirement"):
        unmet(("pytest~~3",))


def test_unknown_name() -> None:
    """An unknown name is an error that suggests the nearest, and nothing is installed."""
    with pytest.raises(taint.IntegrationError, match="Did you mean 'orjson'"):
        taint.install(integrations=["msgpack", "orjsn"])
    install_integrations([])
    assert [applied for applied in patches._applied if applied.group] == []


def test_none_wanted() -> None:
    """With an empty list only the standard library's operations are wrapped."""
    native = orjson.dumps
    taint.install(integrations=[])
    assert orjson.dumps is native


def test_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """In mode `off` install() wraps nothing."""
    monkeypatch.setattr("taint.modes._current", taint.Mode.OFF)
    taint.install()
    assert targets() == []


def test_missing_function_is_an_error() -> None:
    """A library whose function is gone is reported as not supported, and what was wrapped before is put back."""

    class Gone(Integration):
        identifier = "orjson"
        requires = ("orjson",)

        def _install(self) -> None:
            self._wrap([patches.Patch(orjson, "dumps", lambda *_: None)])
            self._wrap([patches.Patch(orjson, "no_such_function", lambda *_: None)])

    native = orjson.dumps
    with pytest.raises(taint.IntegrationError, match=r"nothing to wrap at 'orjson'\.no_such_function"):
        Gone().install()
    assert orjson.dumps is native


def test_failure_during_an_import_does_not_break_it(caplog: pytest.LogCaptureFixture) -> None:
    """Where the library is imported later and cannot be wrapped, the import goes on and it is said once."""

    class Late(Integration):
        identifier = "late"
        requires = ()
        waits_for = "taint_test_late_module"

        def _install(self) -> None:
            msg = "not like this"
            raise RuntimeError(msg)

    late = Late()
    late.install()
    late._on_import(types.ModuleType("taint_test_late_module"))
    assert not late.is_on
    assert "installing the integration 'late'" in caplog.text
    assert "not like this" not in caplog.text


def test_other_options_need_uninstall() -> None:
    """An integration that is installed cannot be installed with other options beside it."""
    first, second = class_of("orjson")(), class_of("orjson")()
    install_integrations([first])
    with pytest.raises(taint.IntegrationError, match="installed already"):
        install_integrations([second])
    install_integrations([first])
    uninstall_integrations()
    install_integrations([second])


class FakePoint:
    """An entry point of another package, as importlib.metadata gives it."""

    def __init__(self, name: str, loaded: object) -> None:
        self.name = name
        self.loaded = loaded

    def load(self) -> object:
        """Give what the entry point names."""
        return self.loaded


def test_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package's integration is found by its entry point; what is not an integration is an error."""

    class Mine(Integration):
        identifier = "json"
        requires = ()
        is_installed = False

        def _install(self) -> None:
            type(self).is_installed = True

    points = [FakePoint("json", Mine), FakePoint("csv", int)]

    def entry_points(*, group: str, name: str | None = None) -> list[FakePoint]:
        assert group == "taint.integrations"
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert json.__name__ in sys.modules  # Imported, so that the integration is put on at once.
    assert set(integration_names()) == {*NAMES, "json", "csv"}
    taint.install(integrations=["json"])
    assert Mine.is_installed
    with pytest.raises(taint.IntegrationError, match="entry point 'csv'"):
        taint.install(integrations=["csv"])
