"""Which modules are rewritten, by whom they are loaded, what is cached, and what tools see of it."""

import importlib
import importlib.util
import inspect
import json
import logging
import os
import pickle
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wrapt

import taint
from taint.propagation.rewriting import loader, rewriting_status

CHECKOUT = Path(__file__).resolve().parent.parent
PHONE = "+14155550100"

GREET = '''"""Greets.

>>> greet("a")
'hello a!'
"""
from __future__ import annotations


def greet(name: str) -> str:
    """Say hello.

    >>> greet("b")
    'hello b!'
    """
    greeting = f"hello {name}!"
    return greeting


def fail(name):
    raise ValueError(f"{name} {name}")
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder that modules are imported from; afterwards none of them is left."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before = set(sys.modules)
    yield tmp_path
    taint.uninstall()
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files, with the folders that they need."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


def is_exact(module: Any) -> bool:
    """Tell whether a module's `greet` keeps labels."""
    return bool(taint.labels_of(module.greet(taint.label(PHONE, purpose="security.mfa"))))


def forget(*names: str) -> None:
    """Make modules be imported anew."""
    for name in names:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


def test_packages_with_their_sub_packages_are_rewritten_and_no_others(folder: Path) -> None:
    """A named package and all below it are rewritten; another with a similar name is not."""
    write(
        folder,
        {"tshop/__init__.py": GREET, "tshop/sub/__init__.py": GREET, "tshop/sub/deep.py": GREET, "tshopping.py": GREET},
    )
    taint.install(packages=["tshop"])
    for name in ("tshop", "tshop.sub", "tshop.sub.deep"):
        assert is_exact(importlib.import_module(name))
    assert not is_exact(importlib.import_module("tshopping"))
    assert rewriting_status().rewritten == {"tshop", "tshop.sub", "tshop.sub.deep"}
    assert not rewriting_status().left


def test_a_single_module_and_a_sub_package_can_be_named(folder: Path) -> None:
    """A name with a dot takes that part of a package only."""
    write(folder, {"tone.py": GREET, "tpart/__init__.py": GREET, "tpart/sub.py": GREET})
    taint.install(packages=["tone", "tpart.sub"])
    assert is_exact(importlib.import_module("tone"))
    assert not is_exact(importlib.import_module("tpart"))
    assert is_exact(importlib.import_module("tpart.sub"))


def test_namespace_packages_are_rewritten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without `__init__.py`, in two places, is rewritten in both."""
    write(folder, {"one/tspace/a.py": GREET, "two/tspace/b.py": GREET})
    monkeypatch.syspath_prepend(str(folder / "one"))
    monkeypatch.syspath_prepend(str(folder / "two"))
    taint.install(packages=["tspace"])
    assert is_exact(importlib.import_module("tspace.a"))
    assert is_exact(importlib.import_module("tspace.b"))
    assert not rewriting_status().left


def test_zip_files_are_rewritten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package in a zip file is rewritten, and its loader still gives source and data."""
    with zipfile.ZipFile(folder / "lib.zip", "w") as archive:
        archive.writestr("tzip/__init__.py", GREET)
        archive.writestr("tzip/mod.py", GREET)
        archive.writestr("tzip/data.txt", "data")
    monkeypatch.syspath_prepend(str(folder / "lib.zip"))
    taint.install(packages=["tzip"])
    module = importlib.import_module("tzip.mod")
    assert is_exact(module)
    assert inspect.getsource(module.greet).startswith("def greet")
    assert importlib.import_module("pkgutil").get_data("tzip", "data.txt") == b"data"
    assert importlib.import_module("importlib.resources").files("tzip").joinpath("data.txt").read_text() == "data"
    assert rewriting_status().rewritten == {"tzip", "tzip.mod"}


def test_what_cannot_be_rewritten_is_imported_as_it_is_counted_and_said_once(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module without source, and one that the rewriting fails on, work natively and stand in the status."""
    import py_compile  # noqa: PLC0415  # For this test only.

    write(folder, {"tleft/__init__.py": "", "tleft/bare.py": GREET, "tleft/bad.py": GREET})
    py_compile.compile(str(folder / "tleft/bare.py"), cfile=str(folder / "tleft/bare.pyc"))
    (folder / "tleft/bare.py").unlink()
    taint.install(packages=["tleft"])
    assert importlib.import_module("tleft.bare").greet("a") == "hello a!"
    with monkeypatch.context() as patched:
        patched.setattr(loader, "rewrite", lambda _tree: 1 / 0)
        assert importlib.import_module("tleft.bad").greet("a") == "hello a!"
    forget("tleft.bare")
    importlib.import_module("tleft.bare")
    assert dict(rewriting_status().left) == {
        "tleft.bare": "its loader, SourcelessFileLoader, gives no source",
        "tleft.bad": "the rewriting failed: ZeroDivisionError",
    }
    assert caplog.text.count("'tleft.bare' is not rewritten") == 1
    assert caplog.text.count("'tleft.bad' is not rewritten") == 1


def test_a_syntax_error_is_the_native_one(folder: Path) -> None:
    """A module that does not compile raises what it raises natively."""
    write(
        folder, {"tsyntax.py": "x = f'{1}{2}'\ny = (\n", "tsyntax2.py": "def f():\n    return f'{1}{2}'\n  return 3\n"}
    )
    for name in ("tsyntax", "tsyntax2"):
        errors = []
        for packages in ([], [name]):
            taint.install(packages=packages)
            with pytest.raises(SyntaxError) as caught:
                importlib.import_module(name)
            errors.append((caught.type, caught.value.args))
        assert errors[1] == errors[0]


def test_a_module_that_is_imported_already_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Naming a package after its import changes nothing but says so, once."""
    write(folder, {"tearly/__init__.py": GREET, "tearly/late.py": GREET})
    early = importlib.import_module("tearly")
    taint.install(packages=["tearly"])
    taint.install(packages=["tearly"])
    assert not is_exact(early)
    assert is_exact(importlib.import_module("tearly.late"))
    assert dict(rewriting_status().left) == {"tearly": "it was imported before install()"}
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(messages) == 1
    assert messages[0].startswith("imported before taint.install(packages=...), so not rewritten: 'tearly'. ")
    assert messages[0].endswith("Call install() before they are imported.")


@pytest.mark.parametrize(
    ("packages", "message"),
    [
        ("shop", "packages is one text: 'shop'. It is a list of names. Write packages=['shop']."),
        (["shop/orders.py"], "packages holds what is no name of a package: 'shop/orders.py'."),
        ([""], "packages holds what is no name of a package: ''."),
        ([5], "packages holds what is no name of a package: 5."),
    ],
)
def test_a_wrong_list_of_packages_is_refused(packages: Any, message: str) -> None:
    """What is no list of dotted names gets an error that says what to write."""
    with pytest.raises(taint.ConfigurationError) as caught:
        taint.install(packages=packages)
    taint.uninstall()
    assert str(caught.value).startswith(message)


def test_off_and_uninstall_import_natively(folder: Path) -> None:
    """In mode `off`, and after `uninstall()`, nothing stands in the way of imports."""
    write(folder, {"tmode.py": GREET})
    finders = list(sys.meta_path)
    taint.configure(mode="off")
    try:
        taint.install(packages=["tmode"])
        assert sys.meta_path == finders
    finally:
        taint.configure(mode="block")
    taint.install(packages=["tmode"])
    assert sys.meta_path[1:] == finders
    rewritten = importlib.import_module("tmode")
    taint.uninstall()
    assert sys.meta_path == finders
    assert rewritten.greet("a") == "hello a!"
    forget("tmode")
    assert not is_exact(importlib.import_module("tmode"))


# The cache


def cached(source: Path) -> Path:
    """Give the place of a module's cache."""
    return Path(importlib.util.cache_from_source(str(source), optimization="taint"))


def test_code_is_cached_beside_python_s_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second import takes the cached code; the native cache is another file, and neither is read for the other."""
    write(folder, {"tcache.py": GREET})
    source = folder / "tcache.py"
    taint.install(packages=["tcache"])
    assert is_exact(importlib.import_module("tcache"))
    assert [path.name for path in (folder / "__pycache__").iterdir()] == [cached(source).name]
    with monkeypatch.context() as patched:
        patched.setattr(loader, "compile_rewritten", None)
        forget("tcache")
        assert is_exact(importlib.import_module("tcache"))
    taint.uninstall()
    forget("tcache")
    assert not is_exact(importlib.import_module("tcache"))


@pytest.mark.parametrize("change", ["source", "settings", "truncated", "garbage", "empty"])
def test_a_stale_or_broken_cache_is_not_read(folder: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another source, another version, or a damaged file makes the module be rewritten again."""
    write(folder, {"tstale.py": GREET})
    source = folder / "tstale.py"
    taint.install(packages=["tstale"])
    importlib.import_module("tstale")
    cache = cached(source)
    before = cache.read_bytes()
    if change == "source":
        source.write_text(GREET.replace("hello", "hullo"), encoding="utf-8")
        os.utime(source, ns=(time.time_ns(), time.time_ns() + 5_000_000_000))
    elif change == "settings":
        monkeypatch.setattr(loader, "_SETTINGS", "another version")
    else:
        cache.write_bytes({"truncated": before[:-20], "garbage": before[:32] + b"\xff" * 50, "empty": b""}[change])
    forget("tstale")
    module = importlib.import_module("tstale")
    assert is_exact(module)
    assert module.greet("a") == ("hullo a!" if change == "source" else "hello a!")
    assert cache.read_bytes() == before if change in {"truncated", "garbage", "empty"} else cache.read_bytes() != before


@pytest.mark.parametrize("why", ["no bytecode", "the cache's place is taken", "another folder"])
def test_where_nothing_can_be_written_modules_are_rewritten_all_the_same(
    folder: Path, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-B`, an unwritable folder and `PYTHONPYCACHEPREFIX` are respected."""
    write(folder, {"tplace.py": GREET})
    if why == "no bytecode":
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
    elif why == "another folder":
        monkeypatch.setattr(sys, "pycache_prefix", str(folder / "elsewhere"))
    else:
        (folder / "__pycache__").write_text("a file where the folder would be", encoding="utf-8")
    taint.install(packages=["tplace"])
    assert is_exact(importlib.import_module("tplace"))
    assert cached(folder / "tplace.py").exists() is (why == "another folder")
    assert not (folder / "__pycache__").is_dir()


# What other tools see


def test_inspect_pickle_and_star_imports_see_the_user_s_names(folder: Path) -> None:
    """Source, members, pickles and star imports of a rewritten module are those of the native one."""
    write(folder, {"tseen.py": GREET, "tstar.py": "from tseen import *\ny = f'{1}{2}'\n"})
    taint.install(packages=["tseen", "tstar"])
    module = importlib.import_module("tseen")
    assert inspect.getsource(module.greet).startswith("def greet")
    assert inspect.getsource(module) == GREET
    assert inspect.getdoc(module.greet) == "Say hello.\n\n>>> greet(\"b\")\n'hello b!'"
    assert [name for name in vars(module) if not name.startswith("_")] == ["annotations", "greet", "fail"]
    assert pickle.loads(pickle.dumps(module.greet)) is module.greet  # noqa: S301  # Pickled in this line.
    star = importlib.import_module("tstar")
    assert {name for name in vars(star) if not name.startswith("__")} == {"annotations", "greet", "fail", "y"}
    assert module.__spec__ is not None
    assert module.__spec__.origin == module.__file__ == str(folder / "tseen.py")
    assert importlib.reload(module).greet("a") == "hello a!"


def start(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python in a folder."""
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{folder}", "PYTHONSAFEPATH": ""}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


MAIN = """
import sys
import taint
if sys.argv[1:] == ["rewritten"]:
    taint.install(packages=["tgreet"])
import tgreet
"""


def test_doctest_finds_and_runs_the_examples(folder: Path) -> None:
    """The examples in docstrings are found in both forms and pass."""
    write(folder, {"tgreet.py": GREET, "main.py": MAIN + "import doctest\nprint(doctest.testmod(tgreet))\n"})
    native, rewritten = (start(folder, "main.py", way) for way in ("native", "rewritten"))
    assert native.stdout.startswith("TestResults(failed=0, attempted=2")
    assert (rewritten.stdout, rewritten.stderr) == (native.stdout, native.stderr)


def test_a_scripted_debugger_stops_at_the_same_lines(folder: Path) -> None:
    """A break point in rewritten code is hit once, and `next` goes on line by line."""
    write(folder, {"tgreet.py": GREET, "main.py": MAIN + 'print(tgreet.greet("a"))\n'})
    line = 1 + GREET.splitlines().index('    greeting = f"hello {name}!"')
    script = f"break tgreet.py:{line}\ncontinue\nwhere\np name\nnext\np greeting\nnext\np locals()\ncontinue\nquit\n"
    native, rewritten = (start(folder, "-m", "pdb", "main.py", way, stdin=script) for way in ("native", "rewritten"))
    assert "hello a!" in native.stdout
    assert "__taint" not in rewritten.stdout
    assert rewritten.stdout == native.stdout


def test_an_uncaught_error_prints_the_same_traceback(folder: Path) -> None:
    """What the interpreter prints for an error that passes through rewritten code is the same, carets too."""
    write(folder, {"tgreet.py": GREET + "\nfail(f'{1}{2}')\n", "main.py": MAIN})
    native, rewritten = (start(folder, "main.py", way) for way in ("native", "rewritten"))
    assert "ValueError: 12 12" in native.stderr
    assert rewritten.stderr == native.stderr


def test_coverage_sees_the_same_lines(folder: Path) -> None:
    """Executed and missing lines and branches of a rewritten module are those of the native one."""
    pytest.importorskip("coverage")
    write(folder, {"tgreet.py": GREET, "main.py": MAIN + 'tgreet.greet("a")\n'})
    seen = []
    for way in ("native", "rewritten"):
        for command in (["run", "--branch", "main.py", way], ["json", "-o", "seen.json"]):
            done = start(folder, "-m", "coverage", *command)
            assert done.returncode == 0, done.stderr
        report = json.loads((folder / "seen.json").read_text(encoding="utf-8"))
        seen.append(report["files"]["tgreet.py"])
    assert seen[1] == seen[0]
    assert seen[0]["missing_lines"]


CONFTEST = """
import taint
taint.install(packages=["tgreet", "test_tgreet"])
"""
TESTS = """
import taint
import tgreet
import pytest
import wrapt
from taint.propagation.rewriting import rewriting_status

PHONE = taint.label("+14155550100", purpose="security.mfa")

def test_the_package_keeps_labels():
    assert taint.labels_of(tgreet.greet(PHONE))

def test_the_test_module_keeps_labels():
    assert taint.labels_of(f"<{PHONE}>") and taint.labels_of(", ".join([PHONE]))
    assert rewriting_status().rewritten == {"tgreet", "test_tgreet"}

def test_assertions_are_explained():
    with pytest.raises(AssertionError) as caught:
        assert tgreet.greet(f"{1}{2}") == "hello " + str(13)
    assert "AssertionError: assert 'hello 12!' == 'hello 13'" in caught.exconly()
    with pytest.raises(AssertionError) as caught:
        assert "x" in tgreet.greet("b"), f"{1}-{2}"
    assert "1-2" in caught.exconly() and "'x' in 'hello b!'" in caught.exconly()
"""


def test_pytest_s_own_rewriting_applies_too(folder: Path) -> None:
    """A test module named to `install()` has both: labels in its f-strings, and explained assertions."""
    write(folder, {"tgreet.py": GREET, "conftest.py": CONFTEST, "test_tgreet.py": TESTS})
    for _ in range(2):  # The second time from the caches.
        done = start(folder, "-m", "pytest", "-q", "-p", "no:randomly", "--rootdir", str(folder), str(folder))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "3 passed" in done.stdout


SCRIPT = """
import sys
import taint
import tgreet
phone = taint.label("+14155550100", purpose="security.mfa")
print(__name__, sys.argv[1:], bool(taint.labels_of(f"<{phone}>")), bool(taint.labels_of(tgreet.greet(phone))))
if __name__ == "__main__":
    sys.exit(3)
"""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["script.py", "-x", "y"], "__main__ ['-x', 'y'] True False"),
        (["--package", "tgreet", "script.py"], "__main__ [] True True"),
        (["-m", "-p", "tgreet", "tpackage", "-m"], "__main__ ['-m'] True True"),
        (["-m", "tpackage.part", "a"], "__main__ ['a'] True False"),
    ],
)
def test_the_command_line_runs_a_program_rewritten(folder: Path, command: list[str], expected: str) -> None:
    """`python -m taint run` gives a script or module its arguments, its name and its exit status."""
    write(
        folder,
        {
            "tgreet.py": GREET,
            "script.py": SCRIPT,
            "tpackage/__init__.py": "",
            "tpackage/__main__.py": SCRIPT,
            "tpackage/part.py": SCRIPT,
        },
    )
    done = start(folder, "-m", "taint", "run", *command)
    assert (done.stdout.strip(), done.stderr, done.returncode) == (expected, "", 3)


@pytest.mark.parametrize("command", [[], ["-m", "taint", "run"]])
def test_a_script_knows_where_it_is(folder: Path, command: list[str]) -> None:
    """A script's name is its whole path, in its tracebacks too, and `sys.argv` has it as it was typed: as natively."""
    script = "import sys, os; os.chdir('/'); print(__file__, sys.argv, sys._getframe().f_code.co_filename)"
    write(folder, {"script.py": script})
    path = folder / "script.py"
    assert start(folder, *command, "script.py").stdout == f"{path} ['script.py'] {path}\n"


def test_the_command_line_says_what_is_missing(folder: Path) -> None:
    """A script that is not there, and a command without a program, end with a message and status 2."""
    done = start(folder, "-m", "taint", "run", "nothing.py")
    assert done.returncode == 2
    assert (
        done.stderr == "there is no script 'nothing.py'. Give the path of a Python file, or -m and a module's name.\n"
    )
    assert start(folder, "-m", "taint", "run").returncode == 2
    assert start(folder, "-m", "taint").returncode == 2


@pytest.mark.parametrize(("name", "said"), [("tpackage", ""), ("tpackge", "there is no package 'tpackge' here")])
def test_the_command_line_says_which_package_is_missing(folder: Path, name: str, said: str) -> None:
    """A misspelt `-p` is said, and the program runs: it may put that package in its way itself."""
    write(folder, {"tpackage/__init__.py": "", "main.py": "print('ran')"})
    done = start(folder, "-m", "taint", "run", "-p", name, "main.py")
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert done.stderr.startswith(said)
    assert bool(done.stderr) is bool(said)


def test_the_command_line_says_its_version(folder: Path) -> None:
    """`--version` names the distribution and its version."""
    assert start(folder, "-m", "taint", "--version").stdout == f"purpose-taint {taint.__version__}\n"


@pytest.mark.parametrize("name", ["nothing", "nothing.part", "tpackage.nothing"])
def test_the_command_line_says_which_module_is_missing(folder: Path, name: str) -> None:
    """A module that is not there ends with a message and status 2."""
    write(folder, {"tpackage/__init__.py": ""})
    done = start(folder, "-m", "taint", "run", "-m", name)
    expected = f"there is no module {name!r} here. Give a name that `python -m` takes, or a script.\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_a_module_that_misses_another_shows_its_own_error(folder: Path) -> None:
    """What a module imports in vain is told by its traceback, not taken for the module itself."""
    write(folder, {"tpackage/__init__.py": "import nothing", "tpackage/part.py": ""})
    done = start(folder, "-m", "taint", "run", "-m", "tpackage.part")
    assert done.returncode == 1
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'nothing'\n")


def test_a_module_that_a_post_import_hook_waits_for_is_rewritten(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A hook of wrapt, as this library and others set, is told of the module once, and the module is rewritten."""
    write(folder, {"tgreet.py": GREET})
    told: list[str] = []
    for _ in range(2):
        wrapt.register_post_import_hook(lambda module: told.append(module.__name__), "tgreet")
        taint.install(packages=["tgreet"])
        module = importlib.import_module("tgreet")
        assert is_exact(module)
        assert isinstance(module.__loader__, loader.SourceLoader)
        assert rewriting_status().rewritten == {"tgreet"}
        taint.uninstall()
        forget("tgreet")
    assert told == ["tgreet"] * 2
    assert "not rewritten" not in caplog.text
