"""The README is true: its commands are those that are checked, its links lead somewhere, its quickstart runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
DOCUMENTS += sorted((CHECKOUT / "docs").glob("*.md"))


def blocks(language: str) -> list[str]:
    """List the README's fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def test_two_commands_come_first() -> None:
    """The README's first two shell blocks are one line each: the main job, then the tests."""
    main_job, tests = blocks("bash")[:2]
    assert main_job.count("\n") == tests.count("\n") == 1
    assert main_job.strip().endswith("-m examples.tailored_audiences")
    assert tests.strip().endswith("-m pytest")


def test_check_script_runs_the_test_command() -> None:
    """The check script holds the README's test command letter for letter."""
    command = blocks("bash")[1].strip()
    assert f"\n{command}\n" in (CHECKOUT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link in a document names a file of the project."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_quickstart_runs(tmp_path: Path) -> None:
    """The quickstart prints what the README shows below it."""
    program = tmp_path / "quickstart.py"
    program.write_text(blocks("python")[0], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False, timeout=60, cwd=CHECKOUT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == blocks("text")[0]
