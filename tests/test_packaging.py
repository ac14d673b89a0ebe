"""What users install: sdist and wheel hold every file, and every form of install imports ``taint.integrations``."""

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any, Literal

import pytest
from build import ProjectBuilder
from pyproject_hooks import quiet_subprocess_runner

from taint.version import __version__

CHECKOUT = Path(__file__).resolve().parent.parent

# Runs under -I -S, so that nothing is importable but what is named: first the form to try, read as site-packages is
# (the .pth files of editable installs too), then the folders of the dependencies.
IMPORT_FROM = """
import importlib.util, site, sys
form, *dependencies = sys.argv[1:]
site.addsitedir(form)
sys.path.extend(dependencies)
import taint, taint.integrations
print(taint.__file__)
print(taint.integrations.__file__)
print(taint.integrations.__name__)
print("integrations" if importlib.util.find_spec("integrations") else "-")
"""


def project_table() -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


def shipped_files(folder: Path) -> set[str]:
    """List the files below a folder of the checkout that belong to the project, relative to it; links not followed."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    link = folder / "integrations"
    return {path.relative_to(folder).as_posix() for path in files if not (link.is_symlink() and link in path.parents)}


def wheel_files() -> set[str]:
    """List what a wheel must hold: taint/, integrations/ and the pytest plugin, under the names they install as."""
    own = {f"taint/{name}" for name in shipped_files(CHECKOUT / "taint")}
    own.add("pytest_taint.py")
    return own | {f"taint/integrations/{name}" for name in shipped_files(CHECKOUT / "integrations")}


def import_from(form: Path) -> list[str]:
    """Import taint from one form of the package in a clean interpreter; return what IMPORT_FROM prints, by line."""
    dependencies = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    command = [sys.executable, "-I", "-S", "-c", IMPORT_FROM, str(form), *dependencies]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=form)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout, so that building leaves nothing in it and other test processes build beside this one."""
    copy = tmp_path_factory.mktemp("packaging") / "source"
    leave = shutil.ignore_patterns(
        ".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "build", "dist"
    )
    shutil.copytree(CHECKOUT, copy, symlinks=True, ignore=leave)
    return copy


def build_distribution(source: Path, kind: Literal["sdist", "wheel", "editable"]) -> Path:
    """Build one distribution with the setuptools at hand, offline."""
    builder = ProjectBuilder(source, runner=quiet_subprocess_runner)
    return Path(builder.build(kind, source.parent / kind))


def unpack(wheel: Path, folder: Path) -> Path:
    """Lay a wheel's files in a folder, as an installer does."""
    shutil.unpack_archive(wheel, folder, "zip")
    return folder


@pytest.fixture(scope="module")
def sdist(source: Path) -> Path:
    """Build the sdist."""
    return build_distribution(source, "sdist")


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> Path:
    """Build the wheel from the unpacked sdist, as an installer without a wheel would."""
    unpacked = sdist.parent.parent / "unpacked"
    with tarfile.open(sdist) as archive:
        for member in archive:
            if content := archive.extractfile(member):  # a file: by hand, since 3.11.3 and older know no filter
                target = unpacked / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())
    return build_distribution(unpacked / sdist.name.removesuffix(".tar.gz"), "wheel")


def wheel_metadata(wheel: Path) -> Message:
    """Read METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_every_package_is_listed() -> None:
    """The packages listed in pyproject.toml are the packages that the folders hold."""
    inits = {name for name in wheel_files() if name.endswith("/__init__.py")}
    folders = {name.removesuffix("/__init__.py").replace("/", ".") for name in inits}
    assert set(project_table()["tool"]["setuptools"]["packages"]) == folders


def test_every_module_is_in_a_package() -> None:
    """No folder with modules lacks an ``__init__.py``, which would leave its modules out of the wheel."""
    modules = {name for name in wheel_files() if name.endswith(".py") and "/" in name}
    assert {f"{name.rpartition('/')[0]}/__init__.py" for name in modules} <= modules


def test_core_dependencies_are_two() -> None:
    """The core needs opentelemetry-api and wrapt, and nothing else."""
    assert project_table()["project"]["dependencies"] == [
        "opentelemetry-api>=1.28,<2",
        "wrapt>=1.17,!=2.2.0,<3",
    ]


def test_nothing_asks_wrapt_for_types() -> None:
    """Wrapt 1.17 is supported, and its classes have no type arguments while a program runs."""
    files = [*(CHECKOUT / "taint").rglob("*.py"), *(CHECKOUT / "integrations").glob("*.py")]
    assert [path.name for path in files if re.search(r"wrapt\.\w+\[", path.read_text(encoding="utf-8"))] == []


def test_link_is_relative() -> None:
    """The link taint/integrations is there and works wherever the checkout stands."""
    assert (CHECKOUT / "taint" / "integrations").readlink() == Path("../integrations")


@pytest.mark.slow
def test_sdist_holds_every_file(sdist: Path) -> None:
    """The sdist holds taint/, integrations/, what checks and shows it, and no file twice."""
    with tarfile.open(sdist) as archive:
        held = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    folders = ("taint", "integrations", "tests", "benchmarks", "examples", "docs", "dashboards")
    expected = {f"{folder}/{name}" for folder in folders for name in shipped_files(CHECKOUT / folder)}
    single = {"pytest_taint.py", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "pyproject.toml", ".ci/run"}
    assert (expected | single) - held == set()
    assert {name for name in held if name.startswith("taint/integrations/")} == set()


@pytest.mark.slow
def test_wheel_holds_every_file(wheel: Path) -> None:
    """The wheel holds every file of taint/ and integrations/, py.typed, the plugin, and its own metadata alone."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert "taint/py.typed" in held
    assert held == wheel_files()


@pytest.mark.slow
def test_wheel_metadata(wheel: Path) -> None:
    """The wheel says the version, the licence and Python that the project says, and requires the two core packages."""
    metadata = wheel_metadata(wheel)
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0 AND BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert [line.split("<")[0].split(">")[0].split("!")[0] for line in required] == ["opentelemetry-api", "wrapt"]


@pytest.mark.slow
def test_import_from_wheel(wheel: Path, tmp_path: Path) -> None:
    """Installed from the wheel, the integrations are taint.integrations and no top-level integrations exists."""
    form = unpack(wheel, tmp_path)
    assert import_from(form) == [
        str(form / "taint" / "__init__.py"),
        str(form / "taint" / "integrations" / "__init__.py"),
        "taint.integrations",
        "-",
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Editable installation")  # setuptools says that it is one
def test_import_from_editable_install(source: Path, tmp_path: Path) -> None:
    """Installed as editable, both folders are the checkout's and no top-level integrations exists."""
    printed = import_from(unpack(build_distribution(source, "editable"), tmp_path))
    assert [Path(line).resolve() for line in printed[:2]] == [
        source / "taint" / "__init__.py",
        source / "integrations" / "__init__.py",
    ]
    assert printed[2:] == ["taint.integrations", "-"]


@pytest.mark.slow
def test_import_from_bare_checkout(source: Path) -> None:
    """Without any install, the link makes taint.integrations importable from the checkout."""
    assert import_from(source)[1:3] == [str(source / "taint" / "integrations" / "__init__.py"), "taint.integrations"]
