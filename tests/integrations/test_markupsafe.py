"""MarkupSafe: labels at the right ranges of escaped text, with Markup's own values."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from markupsafe import Markup, escape, escape_silent

import taint
from tests.integrations.documents import marked, secret

NAME = "<A&n>"
ESCAPED = "&lt;A&amp;n&gt;"


class Html:
    """An object that knows its own markup."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __html__(self) -> str:
        return self.text


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap MarkupSafe."""
    taint.install(integrations=["markupsafe"])


# What is done with a name, and the parts of the result that are labelled where the name is.
OPERATIONS: list[tuple[Callable[[Any], Any], list[str]]] = [
    (escape, [ESCAPED]),
    (escape_silent, [ESCAPED]),
    (Markup.escape, [ESCAPED]),
    (Markup, [NAME]),
    (lambda name: escape("<" + name + ">"), [ESCAPED]),
    (lambda name: Markup("<b>%s</b>") % name, [ESCAPED]),
    (lambda name: Markup("<b>%s|%s</b>") % ("<", name), [ESCAPED]),
    (lambda name: Markup("<b>%(n)s|%(m)s</b>") % {"n": name, "m": "<"}, [ESCAPED]),
    (lambda name: Markup("<b>{}|{m}</b>").format(name, m="<"), [ESCAPED]),
    (lambda name: Markup("<b>{n[0]:>3}|{m}</b>").format_map({"n": [name], "m": "<"}), [ESCAPED]),
    (lambda name: Markup("{:{}}|").format(name, 8), ["&lt;A&amp;n&gt;   "]),
    (lambda name: Markup("<b>") + name, [ESCAPED]),
    (lambda name: name + Markup("<b>"), [ESCAPED]),
    (lambda name: "<" + escape(name), [ESCAPED]),
    (lambda name: escape(name) + "<", [ESCAPED]),
    (lambda name: escape(name) + Markup("<b>"), [ESCAPED]),
    (lambda name: Markup("<b>") + escape(name), [ESCAPED]),
    (lambda name: Markup(",").join(["<", name, Markup("<i>")]), [ESCAPED]),
    (lambda name: Markup("a?b").replace("?", name), [ESCAPED]),
    (lambda name: (Markup("<b>%s</b>") % name)[3:6], ["&lt"]),
    (lambda name: (Markup("<b>%s</b>") % name)[:3], []),
    (lambda name: (Markup("<b>%s</b>") % name).split(";")[3], []),
    (lambda name: escape(name).upper(), ["&LT;A&AMP;N&GT;"]),
    (lambda name: escape(name) * 2, [ESCAPED * 2]),
    (lambda name: (Markup("<b>") + name).center(30), [ESCAPED]),
    (lambda name: (Markup("<b>") + name).partition("A")[2], ["&amp;n&gt;"]),
    (lambda name: escape(name).unescape(), [NAME]),
    (lambda name: (Markup("<b>%s</b>") % name).striptags(), [NAME]),
    (lambda name: Markup(Html(name)), [NAME]),
    (lambda name: escape(Html(name)), [NAME]),
    (lambda name: Markup("%s") % Html(name), [NAME]),
    (lambda name: str(escape(name)), [ESCAPED]),
    (lambda name: escape(str(escape(name))), [ESCAPED.replace("&", "&amp;")]),
    (lambda name: escape(escape(name)), [ESCAPED]),
    (lambda name: format(escape(name), ">16"), [ESCAPED]),
    (lambda name: escape(name).encode().decode(), [ESCAPED]),
    (lambda name: Markup(name.encode(), "utf-8"), [NAME]),
    (lambda name: pickle.loads(pickle.dumps(escape(name), 0)), [ESCAPED]),  # noqa: S301  # Its own bytes.
    (lambda name: copy.deepcopy(escape(name)), [ESCAPED]),
]


@pytest.mark.parametrize(("operation", "expected"), OPERATIONS)
def test_operation(operation: Callable[[Any], Any], expected: list[str]) -> None:
    """Value, kind and repr are those for a plain name, and just what came from the name is labelled."""
    taint.uninstall()
    native = operation(NAME)
    taint.install(integrations=["markupsafe"])
    result = operation(secret(NAME))
    assert result == native
    assert isinstance(result, Markup) is isinstance(native, Markup)
    assert repr(result) == repr(native)
    assert marked(str(result)) == expected
    clean = operation(NAME)
    assert type(clean) is type(native)
    assert marked(clean) == []


def test_labelled_markup() -> None:
    """A Markup that is labelled after it was made is not escaped again."""
    assert marked(Markup("%s|%s") % (taint.label(Markup("<i>"), purpose="security.mfa"), "<")) == ["<i>"]
    assert escape(taint.label(Markup("<i>"), purpose="security.mfa")) == "<i>"


def test_labelled_number() -> None:
    """A labelled number is escaped as its text, labelled."""
    assert marked(Markup("<b>%s</b>") % secret(5)) == ["5"]
    assert marked(escape(secret(5))) == ["5"]


def test_labelled_template() -> None:
    """A labelled template labels all that is made of it."""
    assert marked(Markup(secret("<b>{}</b>")).format("x")) == ["<b>x</b>"]


@pytest.mark.parametrize(
    "operation",
    [
        lambda markup, name: markup % (name, name),
        lambda markup, name: markup + {name},
        lambda markup, name: markup.join(5),
        lambda markup, name: markup.join([name]).index("?"),
        lambda markup, name: (markup + "{x}").format(name),
    ],
)
def test_same_exceptions(operation: Callable[[Any, Any], Any]) -> None:
    """What fails natively fails with the same error."""
    taint.uninstall()
    with pytest.raises(Exception) as native:  # noqa: PT011  # Whichever it is.
        operation(Markup("<b>%s"), NAME)
    taint.install(integrations=["markupsafe"])
    with pytest.raises(type(native.value)):
        operation(Markup("<b>%s"), secret(NAME))


def test_subclass_keeps_its_type() -> None:
    """Another's subclass of Markup gives its own type, as natively."""

    class Mine(Markup):
        __slots__ = ()

    for made in (Mine("<b>") + secret("x"), Mine("<b>{}").format(secret("x")), Mine("<b>%s") % secret("x")):
        assert type(made) is Mine
        assert made == "<b>x"
