"""What rewritten code costs where it meets no label: `python benchmarks/rewriting.py [--quick] [--programs]`.

Each form is compiled twice, native and rewritten, and both are timed in turns in one process, in which
a label exists. A figure is the ratio of the two best processor times, without what the loop itself
costs; the programs are run whole, in two module trees that are loaded side by side. Targets: 1.5 for an
f-string, 1.3 for any other form, 1.05 for a whole program.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import taint
from taint.propagation.rewriting.loader import compile_rewritten

SETUP = """
import datetime, re
class User:
    def __init__(self): self.name, self.id, self.tags = "alice", 4711, ["a", "b", "c"]
    def __str__(self): return self.name
user, a, b, n, x = User(), "alice", "bob", 4711, 3.14159
parts = ["item%d" % i for i in range(10)]
many = ["a longer item %d" % i for i in range(1000)]
pattern, sep, template, day = re.compile(r"(\\w+)@(\\w+)"), ",", "%s:%s", datetime.date(2026, 1, 2)
line, data = "to: alice@example and bob@example", {"a": 1, "b": [1, 2]}
"""

FORMS = {
    "f-string": {
        "two texts": 'f"user:{a}:{b}"',
        "one text, one literal": 'f"user:{a}"',
        "text and number": 'f"{a}-{n}"',
        "attributes": 'f"<{user.name} #{user.id}>"',
        "float with a spec": 'f"{a}: {x:.2f}"',
        "padded": 'f"{a:>10}|{b:<10}|{n:05d}"',
        "repr": 'f"{a!r} is not {b!r}"',
        "call": 'f"{a.upper()} {len(b)}"',
        "object": 'f"dear {user},"',
        "six values": 'f"{a} {b} {n} {x} {a} {b}"',
        "date": 'f"on {day} at {n}"',
    },
    "join": {
        "10 texts": '",".join(parts)',
        "1,000 texts": '"\\n".join(many)',
        "a generator over 10": '",".join(p.upper() for p in parts)',
        "a list made of 10": '",".join([p.upper() for p in parts])',
        "a named separator": "sep.join(parts)",
    },
    "%": {
        "two texts": '"%s:%s" % (a, b)',
        "text and number": '"%s has %d" % (a, n)',
        "one value": '"user %s" % a',
        "a named template": "template % (a, b)",
        "two numbers": "n % x",
        "dict": '"%(a)s and %(b)s" % data',
    },
    "format": {
        "two names": '"{}:{}".format(a, b)',
        "attributes": '"{}:{}".format(user.name, user.id)',
        "lookup": '"{0.name} {1}".format(user, b)',
        "named": '"{x} {y}".format(x=a.upper(), y=n)',
    },
    "showing": {
        "str of a number": "str(n)",
        "str of a text": "str(a)",
        "str of a dict": "str(data)",
        "repr": "repr(a)",
    },
    "in": {"in a text": "a in line", "in a list": "a in parts"},
    "method": {
        "search": "pattern.search(line)",
        "sub": 'pattern.sub("x", line)',
        "replace": "line.replace(a, b)",
        "ljust": 'a.ljust(10, "." if n else " ")',
    },
}
TARGETS = {"f-string": 1.5}


def timer(expression: str, *, rewritten: bool) -> Callable[[int], float]:
    """Make a function that evaluates an expression many times and gives the seconds it took."""
    names = "user, a, b, n, x, parts, many, pattern, sep, template, day, line, data"
    source = (
        f"{SETUP}\nimport time\ndef run(count, {names}):\n"
        f"    start = time.thread_time()\n    for _ in range(count):\n        {expression}\n"
        f"    return time.thread_time() - start\ndef timed(count): return run(count, {names})\n"
    )
    namespace: dict[str, Any] = {"__name__": "timed"}
    code = compile_rewritten(source.encode(), "timed") if rewritten else compile(source, "timed", "exec")
    exec(code, namespace)  # noqa: S102  # What is measured is code.
    made: Callable[[int], float] = namespace["timed"]
    return made


def compare(native: Callable[[int], float], other: Callable[[int], float], rounds: int) -> tuple[float, float]:
    """Time two functions in turns; give the nanoseconds of one evaluation of each."""
    empty = timer("pass", rewritten=False)
    count = max(int(0.001 / max(native(200) / 200, 1e-9)), 10)
    best = [1e9, 1e9, 1e9]
    for _ in range(rounds * 4):
        for at, function in enumerate((native, other, empty)):
            best[at] = min(best[at], function(count))
    return ((best[0] - best[2]) / count * 1e9, (best[1] - best[2]) / count * 1e9)


def forms(rounds: int) -> Iterator[tuple[str, str, float, float]]:
    """Measure every form."""
    for kind, rows in FORMS.items():
        for title, expression in rows.items():
            native, other = (timer(expression, rewritten=way) for way in (False, True))
            yield kind, title, *compare(native, other, rounds)


@contextlib.contextmanager
def loaded(names: list[str], *, rewritten: bool) -> Iterator[None]:
    """Import anew what a program uses, in one form; afterwards what was there before stands there again."""
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}
    if rewritten:
        taint.install(packages=names)
    try:
        yield
    finally:
        taint.uninstall()
        for name in list(sys.modules):
            if name.partition(".")[0] in names:
                del sys.modules[name]
        sys.modules.update(kept)


def render() -> Callable[[], object]:
    """Give a program that makes a page of 200 rows, by jinja2."""
    jinja2 = importlib.import_module("jinja2")
    source = (
        "<table>{% for row in rows %}<tr class='{{ loop.cycle('odd', 'even') }}'><td>{{ row.name|title }}</td>"
        "<td>{{ '%.2f'|format(row.price) }}</td><td>{{ row.tags|join(', ') }}</td>"
        "<td>{{ row.text|replace('&', 'and')|truncate(20) }}</td></tr>{% endfor %}</table>"
    )
    template = jinja2.Environment(autoescape=True).from_string(source)
    rows = [{"name": f"n {i}", "price": i / 7, "tags": ["a", "b", str(i)], "text": "q & a " * 9} for i in range(200)]
    return lambda: template.render(rows=rows)


HANDLER = """
import json, re, urllib.parse, datetime, html
ROUTE = re.compile(r"/users/(\\d+)/orders(?:\\?(.*))?$")
def money(cents): return f"{cents // 100}.{cents % 100:02d} EUR"
def orders(user, query):
    for number in range(int(query.get("limit", ["20"])[0])):
        placed = datetime.date(2026, 1, 1) + datetime.timedelta(days=number % 300)
        yield {"id": f"{user}-{number:06d}", "placed": f"{placed:%Y-%m-%d}", "total": money(number * 317),
               "lines": [{"sku": f"S{line:04d}", "title": "Item %d of %s" % (line, number)} for line in range(3)],
               "address": ", ".join(part for part in ("Main Street 5", "", "Town") if part),
               "note": html.escape("a & b".replace("a", str(number)))}
def handle(method, target, body):
    match = ROUTE.match(target)
    if method != "GET" or match is None:
        return f"404 no {method} at {target!r}", ""
    query = urllib.parse.parse_qs(match.group(2) or "")
    user = match.group(1)
    found = json.dumps({"user": user, "orders": list(orders(user, query)), "filter": json.loads(body)})
    headers = {"length": len(found), "type": "json"}
    return "200 OK", "\\r\\n".join(f"{name}: {value}" for name, value in headers.items()) + found
def program():
    for user in range(10): handle("GET", f"/users/{user}/orders?limit=20&x=%20y", '{"a": [1, 2, "x"]}')
"""


def highlight() -> Callable[[], object]:
    """Give a program that shows a source file as HTML, by pygments."""
    pygments = importlib.import_module("pygments")
    lexer = importlib.import_module("pygments.lexers").get_lexer_by_name("python")
    formatter = importlib.import_module("pygments.formatters").get_formatter_by_name("html", linenos=True)
    source = HANDLER * 3
    return lambda: pygments.highlight(source, lexer, formatter)


def mail() -> Callable[[], object]:
    """Give a program that writes messages and reads them, by the standard library's email package."""
    email = importlib.import_module("email")
    policy = importlib.import_module("email.policy").default
    message_class = importlib.import_module("email.message").EmailMessage

    def run() -> None:
        for number in range(5):
            message = message_class()
            message["Subject"], message["To"] = (
                f"Order {number} " * 5,
                "Alice Example <alice@example.org>, b@example.org",
            )
            message.set_content("A line of text.\n" * 20)
            message.add_alternative("<p>A line</p>\n" * 20, subtype="html")
            read = email.message_from_bytes(message.as_bytes(), policy=policy)
            str(read["to"]), [part.get_content() for part in read.iter_parts()]

    return run


PROGRAMS: dict[str, tuple[list[str], Callable[[], Callable[[], object]]]] = {
    "jinja2: a page of 200 rows": (["jinja2", "markupsafe"], render),
    "pygments: a file as HTML": (["pygments"], highlight),
    "email: write and read": (["email"], mail),
}


def programs(rounds: int) -> Iterator[tuple[str, float, float, float]]:
    """Measure whole programs: native, rewritten and the spread of native against native."""
    pairs: dict[str, list[Callable[[], object]]] = {}
    for title, (names, make) in PROGRAMS.items():
        made = []
        for way in (False, True):
            with loaded(names, rewritten=way):
                program = make()
                program()  # What it imports late, it imports now.
                made.append(program)
        pairs[title] = made
    handlers = []
    for code in (compile(HANDLER, "handler", "exec"), compile_rewritten(HANDLER.encode(), "handler")):
        namespace: dict[str, Any] = {"__name__": "handler"}
        exec(code, namespace)  # noqa: S102  # What is measured is code.
        handlers.append(namespace["program"])
    pairs["json API handler"] = handlers
    for title, (native, rewritten) in pairs.items():
        ratios, natives, others = [], [], []
        for _ in range(rounds * 3):
            times = []
            for program in (native, rewritten):
                start = time.thread_time()
                program()
                times.append(time.thread_time() - start)
            natives.append(times[0])
            others.append(times[1])
            ratios.append(times[1] / times[0])
        yield title, min(natives) * 1e3, min(others) * 1e3, statistics.median(ratios)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--programs", action="store_true", help="the programs only")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    rounds = 7 if options.quick else 25
    label = taint.label("+14155550100", purpose="security.mfa")
    results: list[dict[str, Any]] = []
    if not options.programs:
        for kind, title, native, rewritten in forms(rounds):
            target = TARGETS.get(kind, 1.3)
            results.append({"kind": kind, "case": title, "native": native, "rewritten": rewritten, "target": target})
    for title, native, rewritten, ratio in programs(rounds):
        results.append(
            {
                "kind": "program",
                "case": title,
                "native": native,
                "rewritten": rewritten,
                "target": 1.05,
                "median": ratio,
            }
        )
    assert taint.labels_of(label)
    if options.json:
        print(json.dumps(results))
        return
    out = io.StringIO()
    out.write(f"Python {sys.version.split()[0]}; ns, for programs ms\n")
    for row in results:
        ratio = row["rewritten"] / row["native"]
        note = "" if ratio <= row["target"] else f"  over {row['target']}"
        more = f"  median {row['median']:.3f}" if "median" in row else ""
        out.write(
            f"{row['kind']:9} {row['case']:28} {row['native']:9.1f} {row['rewritten']:9.1f} {ratio:6.2f}{more}{note}\n"
        )
    for kind in FORMS:
        found = [row["rewritten"] / row["native"] for row in results if row["kind"] == kind]
        if found:
            out.write(f"{kind:9} median {statistics.median(found):.2f}\n")
    print(out.getvalue(), end="")


if __name__ == "__main__":
    main()
