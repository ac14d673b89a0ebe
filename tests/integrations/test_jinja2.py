"""Jinja2: labels at the right ranges of a rendered text, autoescape on and off."""

import asyncio
from typing import Any

import jinja2
import jinja2.filters
import pytest
from markupsafe import Markup

import taint
from tests.integrations.documents import marked, secret

NAME = "<A&n>"
ESCAPED = "&lt;A&amp;n&gt;"


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap Jinja2."""
    taint.install(integrations=["jinja2"])


def environment(*, autoescape: bool) -> jinja2.Environment:
    """Make an environment with two templates to include and import."""
    templates = {
        "row": "<li>{{ name }}</li>",
        "forms": "{% macro field(value, sep='-') %}<i>{{ value }}</i>{{ sep }}{% endmacro %}",
        "base": "<html>{% block body %}{% endblock %}</html>",
    }
    return jinja2.Environment(autoescape=autoescape, loader=jinja2.DictLoader(templates), extensions=["jinja2.ext.do"])


# A template, and what of it is labelled; `N` stands for the name as it is rendered.
TEMPLATES: list[tuple[str, list[str]]] = [
    ("<p>{{ name }}</p>", ["N"]),
    ("{{ name }}, {{ other }}", ["N"]),
    ("{{ 'a' ~ name ~ '<' }}", ["N"]),
    ("{{ [other, name]|last }}{{ [other, name]|first }}", ["N"]),
    ("{% for one in [other, name] %}<li>{{ one }}</li>{% endfor %}", ["N"]),
    ("{% set kept %}x{{ name }}{% endset %}<b>{{ kept }}</b>", ["N"]),
    ("{% macro m(x) %}<i>{{ x }}</i>{% endmacro %}{{ m(name) }}{{ m(other) }}", ["N"]),
    ("{% macro m() %}<i>{{ caller() }}</i>{% endmacro %}{% call m() %}x{{ name }}{% endcall %}", ["N"]),
    ("{% include 'row' %}", ["N"]),
    ("{% import 'forms' as forms %}{{ forms.field(name) }}", ["N"]),
    ("{% extends 'base' %}{% block body %}x{{ name }}{% endblock %}", ["N"]),
    ("{% if name %}{{ other }}{% endif %}", []),
    ("{{ name|length }}", []),
    ("{{ row.name }}|{{ row['other'] }}", ["N"]),
    ("{{ number }}|{{ 5 }}", ["5"]),
    ("{{ name[1:2] }}", ["A"]),
    ("{{ undefined_name }}", []),
    ("{{ [other, 'b']|map('upper')|join(',') }}", []),
]


@pytest.mark.parametrize("autoescape", [True, False])
@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_render(template: str, expected: list[str], autoescape: bool) -> None:
    """The text is that for plain values, and just what came from the labelled value is labelled."""
    shown = ESCAPED if autoescape else NAME

    def render(label: Any) -> str:
        values = {"name": label(NAME), "other": "<x>", "row": {"name": label(NAME), "other": "y"}, "number": label(5)}
        return environment(autoescape=autoescape).from_string(template).render(**values)

    taint.uninstall()
    native = render(lambda value: value)
    taint.install(integrations=["jinja2"])
    rendered = render(secret)
    assert rendered == native
    assert marked(rendered) == [shown if part == "N" else part for part in expected]
    clean = render(lambda value: value)
    assert type(clean) is str
    assert clean == native


@pytest.mark.parametrize("autoescape", [True, False])
@pytest.mark.parametrize(
    "expression",
    [
        *(
            "[name, other]|join(', ')",
            "[[name]]|join(', ')",
            "[name, other]|map('upper')|join(', ')",
            "['<', '>']|join(name)",
            "name|replace('A', 'B')",
            "'%s!'|format(name)",
            "name|indent",
            "name|wordwrap(2)",
        ),
        *("name|truncate(3, true, '')", "name|urlize", "{'a': name}|xmlattr", "{'a': name}|tojson", "name|title"),
        *(
            "name|urlencode",
            "name|pprint",
            "name|replace('<', '')|striptags",
            "name|upper",
            "name|trim",
            "name|e",
            "name|safe",
        ),
        *("name|string|lower", "name|center(20)", "name|default('x')", "[name]|map('upper')|first", "name|list|first"),
        *("other|replace('x', name)", "name|reverse", "name|capitalize"),
    ],
)
def test_filters(expression: str, autoescape: bool) -> None:
    """A filter's text is that for a plain value; with a labelled one it is labelled, and what is around it is not."""

    def render(label: Any) -> str:
        template = environment(autoescape=autoescape).from_string("before {{ " + expression + " }} after")
        return template.render(name=label(NAME), other="<x>")

    taint.uninstall()
    native = render(str)
    taint.install(integrations=["jinja2"])
    rendered = render(secret)
    assert rendered == native
    assert marked(rendered)
    assert not taint.labels_of(rendered[:7])
    assert not taint.labels_of(rendered[-6:])
    assert type(render(str)) is str


@pytest.mark.parametrize("autoescape", [True, False])
def test_ways_to_render(autoescape: bool) -> None:
    """generate, stream and async rendering keep labels as render does."""
    shown = ESCAPED if autoescape else NAME
    template = environment(autoescape=autoescape).from_string("<p>{{ name }}</p>")
    assert [part for piece in template.generate(name=secret(NAME)) for part in marked(piece)] == [shown]
    stream = template.stream(name=secret(NAME))
    stream.enable_buffering(5)
    assert [part for piece in stream for part in marked(piece)] == [shown]
    asynchronous = jinja2.Environment(autoescape=autoescape, enable_async=True).from_string("<p>{{ name }}</p>")
    assert marked(asyncio.run(asynchronous.render_async(name=secret(NAME)))) == [shown]


def test_labelled_markup() -> None:
    """A labelled Markup is not escaped, and labelled where it stands."""
    template = environment(autoescape=True).from_string("<p>{{ name }}</p>")
    rendered = template.render(name=taint.label(Markup("<i>"), purpose="security.mfa"))
    assert rendered == "<p><i></p>"
    assert marked(rendered) == ["<i>"]


def test_environment_made_before() -> None:
    """A template that was compiled before install() is labelled all the same."""
    taint.uninstall()
    template = environment(autoescape=True).from_string("<p>{{ name }}</p>{{ 'a' ~ name }}")
    template.render(name=secret(NAME))
    taint.install(integrations=["jinja2"])
    assert set(marked(template.render(name=secret(NAME)))) <= {ESCAPED}


def test_filters_are_put_back() -> None:
    """uninstall() leaves the table of filters as it was, the identical functions."""
    taint.uninstall()
    before = dict(jinja2.filters.FILTERS)
    taint.install(integrations=["jinja2"])
    assert jinja2.filters.FILTERS["join"] is not before["join"]
    taint.uninstall()
    assert all(jinja2.filters.FILTERS[name] is function for name, function in before.items())


def test_same_exceptions() -> None:
    """A template that fails natively fails with the same error."""
    with pytest.raises(TypeError):
        environment(autoescape=True).from_string("{{ name + 1 }}").render(name=secret(NAME))
    with pytest.raises(jinja2.UndefinedError):
        environment(autoescape=True).from_string("{{ nothing.at_all }}{{ name }}").render(name=secret(NAME))
