"""Real packages and the interpreter's own test suites do the same rewritten as native."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

BEGIN = """
import logging, sys
import taint
logging.getLogger("taint").setLevel(logging.ERROR)
way, *names = sys.argv[1:]
if way == "rewritten":
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]
    taint.install(packages=names)
"""

PROGRAMS = {
    "jinja2 markupsafe": """
import jinja2, markupsafe
environment = jinja2.Environment(autoescape=True, trim_blocks=True, extensions=["jinja2.ext.i18n", "jinja2.ext.do"])
source = '''{% macro cell(x, kind="td") %}<{{ kind }}>{{ x|upper|replace("A", "b") }}</{{ kind }}>{% endmacro %}
{% for row in rows %}{{ loop.index }}/{{ loop.length }} {{ cell(row.name) }} {{ "%s-%05d"|format(row.name, row.n) }}
{{ row.tags|join(", ")|title }} {{ row|xmlattr }} {{ row.html|safe|striptags|truncate(9) }}{{ [row]|tojson }}
{% if "x" in row.name %}{{ row.n % 3 }}{% else %}{{ ("a" ~ row.n ~ "b")|center(20)|urlize }}{% endif %}{% endfor %}
{{ rows|map(attribute="name")|sort|join("|") }} {{ rows|groupby("n")|list|pprint }} {{ "a b"|wordwrap(1)|indent }}'''
rows = [{"name": f"x<{i}>", "n": i % 4, "tags": ["a&b", f"t{i}"], "html": "<b>bold &amp; brave</b>"} for i in range(30)]
print(environment.from_string(source).render(rows=rows))
print(environment.compile(source, raw=True))
for broken in ("{% for %}", "{{ x.y.z }}", "{% include 'nothing' %}", "{{ 1 / 0 }}", "{% macro %}"):
    try:
        print(environment.from_string(broken).render())
    except Exception as error:
        print(type(error), error)
m = markupsafe.Markup
print(repr([m("<%s> %s") % ("&", m("&")), m("{}{!r}").format("<", "<")]))
print(repr([m(",").join(["<", m("<")]), m("a").replace("a", "<")]))
""",
    "pygments": """
import pygments, pygments.lexers, pygments.formatters, pygments.styles
source = open(pygments.lexers.__file__).read() + open(pygments.__file__).read()
for lexer in ("python", "html", "json", "bash", "markdown", "sql"):
    for formatter in ("html", "latex", "terminal256", "rtf", "svg", "bbcode"):
        options = {"linenos": True} if formatter == "html" else {}
        print(pygments.highlight(
            source[:9000],
            pygments.lexers.get_lexer_by_name(lexer),
            pygments.formatters.get_formatter_by_name(formatter, style="monokai", **options),
        ))
print(pygments.formatters.HtmlFormatter(style="friendly").get_style_defs(".x"))
""",
    "packaging": """
from packaging import markers, requirements, specifiers, tags, utils, version
for text in ("a>=1,<2; python_version>'3'", "b[x,y]==1.*", "c @ https://a.example/c.whl", "d!!", "e>=x", ""):
    try:
        requirement = requirements.Requirement(text)
        print(repr(requirement), str(requirement), requirement.marker and requirement.marker.evaluate())
    except requirements.InvalidRequirement as error:
        print(error)
for text in ("1.0", "1!2.0a1.post2.dev3+local.4", "v1-1", "bad"):
    try:
        print(repr(version.Version(text)), version.Version(text).public, utils.canonicalize_version(text))
    except version.InvalidVersion as error:
        print(error)
print([str(tag) for tag in tags.sys_tags()][:50], repr(specifiers.SpecifierSet(">=1,!=1.5,<2")))
print(markers.Marker("os_name == 'nt' or (python_version in '3.7 3.8' and extra != 'x')"))
""",
    "email configparser textwrap html difflib csv pprint argparse json": """
import argparse, configparser, csv, difflib, email, email.message, email.policy
import html, io, json, pprint, string, textwrap
import email.mime.multipart, email.mime.text
text = "".join(f"line {i} of {i * i} <words & more>\\n" for i in range(60))
message = email.message.EmailMessage(policy=email.policy.SMTP)
message["Subject"], message["From"] = "Grüße an " + "alle " * 30, "x@y.example"
message["To"] = "A <a@b.example>, c@d.example"
message.set_content(text + "é" * 100)
message.add_attachment(b"data" * 50, maintype="application", subtype="octet-stream", filename="a é.bin")
message.set_boundary("===")
sent = message.as_bytes()
read = email.message_from_bytes(sent, policy=email.policy.default)
print(sent.decode(), read["to"].addresses, read.get_body().get_content())
print([part.get_content_type() for part in read.walk()])
parser = configparser.ConfigParser()
parser.read_string("[a]\\nx = %(y)s/1\\ny = 2\\n[b]\\nlong = 1\\n  2\\n  3\\n")
out = io.StringIO()
parser.write(out)
print(out.getvalue(), dict(parser["a"]), textwrap.fill(text, 40, initial_indent="> ", max_lines=9), html.escape(text))
print("".join(difflib.unified_diff(text.splitlines(True), text.replace("1", "2").splitlines(True), "a", "b")))
print(difflib.HtmlDiff().make_table(text.splitlines()[:9], text.replace("1", "2").splitlines()[:9]))
print(string.Template("$a ${b} $$").substitute(a=1, b=2), string.Formatter().format("{0!r:>9} {x}", "a", x=2))
csv.DictWriter(out, ["a", "b"]).writerows([{"a": 'x"y', "b": 1}])
print(out.getvalue(), json.dumps({"a": [1, 2.5, None, "é\\n"]}, indent=1))
print(pprint.pformat({i: text[: 9 * i] for i in range(9)}, width=50))
arguments = argparse.ArgumentParser(prog="p", description=text[:200])
arguments.add_argument("--level", choices=["a", "b"], default="a", help="one of %(choices)s, %(default)r")
arguments.add_argument("files", nargs="+", metavar="FILE", type=int)
print(arguments.format_help(), arguments.parse_args(["--lev", "b", "1", "2"]))
try:
    arguments.parse_args(["x"])
except SystemExit:
    pass
""",
}


def outcome(program: str, way: str, names: list[str], seed: str = "0") -> tuple[str, str]:
    """Run a program in one form, and give what it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program, way, *names],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("names", PROGRAMS)
def test_a_real_package_writes_the_same(names: str) -> None:
    """What a package writes, errors included, is the same text with its modules rewritten."""
    if names.partition(" ")[0] in {"jinja2", "pygments", "packaging"}:
        pytest.importorskip(names.partition(" ")[0])
    program = PROGRAMS[names]
    check = """
if way == "rewritten":
    from taint.propagation.rewriting import rewriting_status
    status = rewriting_status()
    assert set(status.left) <= {'markupsafe._speedups'}, dict(status.left)
    assert all(name in status.rewritten for name in names), status.rewritten
"""
    native = outcome(program, "native", names.split())
    assert outcome(program + check, "rewritten", names.split()) == native
    assert len(native[0]) > 1_000


SUITES = (
    *("test_fstring", "test_format", "test_string", "test_textwrap", "test_configparser", "test_json", "test_difflib"),
    *("test_patma", "test_scope", "test_named_expressions", "test_listcomps", "test_generators", "test_coroutines"),
    *("test_super", "test_class", "test_dataclasses", "test_grammar", "test_with", "test_unpack", "test_bytes"),
    *("test_traceback", "test_sys_settrace", "test_exceptions"),
)
RUN_SUITES = """
import io, unittest
for name in names:
    if not name.startswith("test."):
        continue
    suite = unittest.defaultTestLoader.loadTestsFromName(name)
    result = unittest.TextTestRunner(stream=io.StringIO(), verbosity=0).run(suite)
    bad = sorted(str(test) for test, _ in result.failures + result.errors)
    sys.__stderr__.write(f"{name} {result.testsRun} {len(result.skipped)} {bad}\\n")
"""


@pytest.mark.slow
def test_the_interpreter_s_own_suites_pass_as_before() -> None:
    """CPython's tests of f-strings, formatting, scopes, tracebacks and tracing have the same results when rewritten."""
    pytest.importorskip("test.test_fstring", reason="this Python is installed without its tests")
    names = [*(f"test.{name}" for name in SUITES), "textwrap", "configparser", "json", "difflib"]
    native, rewritten = (
        sorted(line for line in outcome(RUN_SUITES, way, names)[1].splitlines() if line.startswith("test."))
        for way in ("native", "rewritten")
    )
    assert rewritten == native
    assert len(native) == len(SUITES)
