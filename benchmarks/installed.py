"""What `install()` costs where nothing is labelled: `python -m benchmarks.installed [--quick] [--calls | --programs]`.

Calls are timed native and installed in turns in one process, and each figure is the least of many turns.
Programs run whole, in processes of their own, in turns: native, installed, and with the program's
packages rewritten; a figure is the least time of a run, and the ratio is of the medians of all runs.
Targets: 1.05 for a program.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

import taint
from benchmarks.rewriting import HANDLER, PROGRAMS
from taint.propagation.rewriting.loader import compile_rewritten

SETUP = """
import base64, binascii, codecs, collections, configparser, csv, email.utils, hashlib, hmac, html, io, ipaddress, json
import logging, os.path, pathlib, re, shlex, string, struct, textwrap, urllib.parse, uuid, zlib
import unicodedata
import html.parser
text, data = "to: alice@example and bob@example", b"to: alice@example and bob@example"
small, rows = {"id": 4711, "name": "alice", "tags": ["a", "b"]}, [["1", "alice", "b"]] * 20
document, template = json.dumps(small), string.Template("Hello $name")
large = [{"id": number, "name": "alice %d" % number, "tags": ["a", "b"]} for number in range(200)]
large_document = json.dumps(large)
pattern = re.compile(r"(\\w+)@(\\w+)")
record = logging.LogRecord("a", 20, "f", 1, "%s has %d", ("alice", 3), None)
identifier, url = uuid.uuid4(), "https://example.org/a/b?c=d&e=f#g"
lines = ["1,alice,b"] * 20
def parse():
    parser = html.parser.HTMLParser(); parser.feed("<p class='a'>text &amp; <b>more</b></p>" * 5); parser.close()
def written():
    stream = io.StringIO(); csv.writer(stream).writerows(rows); return stream.getvalue()
def streamed():
    stream = io.StringIO()
    for line in lines: stream.write(line)
    return stream.getvalue()
def mac():
    made = hmac.new(b"key", data, "sha256"); return made.hexdigest()
def steps():
    made = hashlib.sha256(); made.update(data); made.update(data); return made.digest()
"""
CALLS = """
re.search(r"@(\\w+)", text) | re.sub("[a-z]", "x", text) | re.compile("a") | pattern.search(text)
json.dumps(small) | json.loads(document) | json.dumps(large) | json.loads(large_document)
hashlib.sha256(data).hexdigest() | hashlib.new("md5", data).digest() | steps() | mac()
base64.b64encode(data) | binascii.hexlify(data) | base64.urlsafe_b64encode(data)
urllib.parse.quote(text) | urllib.parse.urlsplit(url) | urllib.parse.urlencode(small)
html.escape(text) | html.unescape(text) | parse()
textwrap.dedent(text) | textwrap.fill(text, 20) | shlex.quote(text) | template.substitute(name="a")
unicodedata.normalize("NFC", text) | string.capwords("a b c")
streamed() | io.BytesIO(data).read() | written() | list(csv.reader(lines))
struct.pack("<I", 7) | zlib.crc32(data) | str(identifier) | uuid.UUID(int=5) | ipaddress.ip_address("192.0.2.7")
os.path.normpath("a/../b") | str(pathlib.PurePath("a/b")) | record.getMessage() | email.utils.parseaddr("A <a@b.io>")
markupsafe.escape(text) | markupsafe.Markup("<p>%s</p>") % text
"""


def expressions() -> list[str]:
    """Give each call that is measured."""
    return [call.strip() for line in CALLS.strip().splitlines() for call in line.split(" | ")]


def timer(expression: str) -> Any:
    """Make a function that evaluates an expression many times and gives the seconds it took."""
    namespace: dict[str, Any] = {}
    setup = SETUP
    if "markupsafe" in expression:
        setup += "import markupsafe\n"
    code = (
        f"{setup}\nimport time\ndef timed(count):\n    start = time.thread_time()\n"
        f"    for _ in range(count): {expression}\n    return time.thread_time() - start\n"
    )
    exec(code, namespace)  # noqa: S102  # What is measured is code.
    return namespace["timed"]


def calls(rounds: int) -> None:
    """Measure calls, in two processes for each module whose state is either way."""
    script = "import sys, json; from benchmarks.installed import times; print(json.dumps(times(int(sys.argv[1]))))"
    found: list[dict[str, float]] = [{}, {}]
    for _ in range(3):
        for at, install in enumerate(("", "import taint; taint.install(); ")):
            ran = subprocess.run(  # noqa: S603  # Its own interpreter.
                [sys.executable, "-c", install + script, str(rounds)], check=True, capture_output=True, text=True
            )
            for call, nanoseconds in json.loads(ran.stdout).items():
                found[at][call] = min(found[at].get(call, 1e18), nanoseconds)
    native, installed = found
    print("| call | native ns | with `install()` ns | ratio |\n|---|---:|---:|---:|")
    for call in expressions():
        print(f"| `{call}` | {native[call]:.0f} | {installed[call]:.0f} | {installed[call] / native[call]:.2f} |")
    ratios = [installed[call] / native[call] for call in native]
    print(f"\nMedian ratio of {len(ratios)}: {statistics.median(ratios):.2f}.")


def times(rounds: int) -> dict[str, float]:
    """Give the nanoseconds of each call in this process."""
    result = {}
    for expression in expressions():
        timed = timer(expression)
        count = max(int(0.002 / max(timed(20) / 20, 1e-9)), 5)
        result[expression] = min(timed(count) for _ in range(rounds)) / count * 1e9
    return result


WAYS = ("native", "installed", "rewritten")


def program(title: str, way: str, rounds: int) -> list[float]:
    """Run one program in this process; give the seconds of each run."""
    names = PROGRAMS[title][0] if title in PROGRAMS else []
    if way != "native":
        taint.install(packages=names if way == "rewritten" else [])
    if title in PROGRAMS:
        run = PROGRAMS[title][1]()
    else:
        namespace: dict[str, Any] = {"__name__": "handler"}
        is_rewritten = way == "rewritten"
        code = compile_rewritten(HANDLER.encode(), "handler") if is_rewritten else compile(HANDLER, "handler", "exec")
        exec(code, namespace)  # noqa: S102  # What is measured is code.
        run = namespace["program"]
    run()
    found = []
    for _ in range(rounds):
        start = time.thread_time()
        run()
        found.append(time.thread_time() - start)
    return found


def programs(rounds: int, turns: int) -> None:
    """Measure whole programs."""
    script = (
        "import sys, json; from benchmarks.installed import program; "
        "print(json.dumps(program(sys.argv[1], sys.argv[2], int(sys.argv[3]))))"
    )
    print("| program | native ms | with `install()` | ratio | rewritten too | ratio |\n|---|---:|---:|---:|---:|---:|")
    for title in (*PROGRAMS, "json API handler"):
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(turns):
            for way in WAYS:
                ran = subprocess.run(  # noqa: S603  # Its own interpreter.
                    [sys.executable, "-c", script, title, way, str(rounds)], check=True, capture_output=True, text=True
                )
                found[way] += json.loads(ran.stdout)
        native, installed, rewritten = (min(found[way]) * 1e3 for way in WAYS)
        middle = {way: statistics.median(found[way]) for way in WAYS}
        print(
            f"| {title} | {native:.1f} | {installed:.1f} | {middle['installed'] / middle['native']:.2f} "
            f"| {rewritten:.1f} | {middle['rewritten'] / middle['native']:.2f} |"
        )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--calls", action="store_true", help="the calls only")
    parser.add_argument("--programs", action="store_true", help="the programs only")
    options = parser.parse_args()
    rounds = 10 if options.quick else 30
    if not options.programs:
        calls(rounds)
        print()
    if not options.calls:
        programs(rounds, 3 if options.quick else 7)


if __name__ == "__main__":
    main()
