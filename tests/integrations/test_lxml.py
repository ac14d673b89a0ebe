"""lxml: elements give back the carriers they were given, and documents keep which part of them is labelled."""

import copy
import functools
import gc
import io
import operator
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lxml.builder
import lxml.html
import lxml.html.builder
import lxml.html.diff
import pytest
from lxml import etree

import taint
from taint import losses
from taint.integrations.lxml import LxmlIntegration
from taint.integrations.lxml_holding import Tree
from taint.testing import record
from tests.integrations.documents import marked, secret


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap lxml."""
    taint.install(integrations=["lxml"])


def leaves(root: Any) -> dict[str, list[Any]]:
    """Give the labelled parts of every labelled text, tail and attribute, by path."""
    found = {}
    tree = root.getroottree()
    for element in root.iter():
        path = tree.getpath(element)
        for name, value in (("text", element.text), ("tail", element.tail), *getattr(element, "items", list)()):
            if taint.labels_of(value):
                found[f"{path} {name}"] = marked(value)
    return found


def person(label: Callable[[str], str]) -> Any:
    """Make a tree in which some texts, tails and attributes are what `label` gives."""
    root = etree.Element("person", {"id": "+1415", "phone": label("+1415")})
    etree.SubElement(root, "phone", kind="of " + label("Ann")).text = "tel:" + label("+1415")
    etree.SubElement(root, "clean").text = "+1415"
    last = etree.SubElement(root, "{urn:x}last", {"{urn:y}a": label('<é&"\n')})
    last.text, last.tail = label("a\nb"), label("<é&\U0001f600")
    etree.SubElement(root, "empty").tail = "+1415"
    return root


LEAVES = {
    "/person phone": ["+1415"],
    "/person/phone text": ["+1415"],
    "/person/phone kind": ["Ann"],
    "/person/ns0:last text": ["a\nb"],
    "/person/ns0:last tail": ["<é&\U0001f600"],
    "/person/ns0:last {urn:y}a": ['<é&"\n'],
}


def test_lost_natively() -> None:
    """Without the integration lxml gives plain text back: this is what it is for."""
    taint.uninstall()
    element = etree.Element("a")
    element.text = secret("x")
    assert type(element.text) is str
    assert type(etree.fromstring(secret("<a>x</a>")).text) is str


def test_built_tree() -> None:
    """A tree that is built has the labels it was given, at the positions they had."""
    assert leaves(person(secret)) == LEAVES
    assert leaves(person(str)) == {}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"encoding": "unicode"},
        {"encoding": "utf-8"},
        {"encoding": "utf-16"},
        {"encoding": "iso-8859-1"},
        {"xml_declaration": True},
        {"pretty_print": True},
        {"doctype": "<!DOCTYPE person>"},
        {"method": "c14n"},
        {"method": "c14n2"},
    ],
    ids=str,
)
def test_round_trip(options: dict[str, Any]) -> None:
    """The document is that of the plain tree, and parsing it labels the same leaves and no others."""
    document = etree.tostring(person(secret), **options)
    assert document == etree.tostring(person(str), **options)
    assert type(taint.plain(document)) is (str if options.get("encoding") == "unicode" else bytes)
    root = etree.fromstring(document)
    assert etree.tostring(root) == etree.tostring(etree.fromstring(taint.plain(document)))
    assert leaves(root) == LEAVES


def test_no_other_than_the_labelled_ones() -> None:
    """Of two leaves with one text only that is labelled which was, in a document and in the tree made of it."""
    root = etree.Element("a")
    for label in (str, secret, str):
        etree.SubElement(root, "b", c=label("+1415")).text = label("+1415")
    document = etree.tostring(root, encoding="unicode")
    one = '<b c="+1415">+1415</b>'
    assert document == f"<a>{one}{one}{one}</a>"
    assert [(part.start, part.stop) for part in taint.ranges_of(document)] == [(31, 36), (38, 43)]
    assert leaves(etree.fromstring(document)) == {"/a/b[2] text": ["+1415"], "/a/b[2] c": ["+1415"]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (["<a>x", "<!-- ", secret("p"), " -->q</a>"], {"/a/comment() text": ["p"]}),
        (["<a><!-- p -->", secret("q"), "</a>"], {"/a/comment() tail": ["q"]}),
        (["<a><?p q?>", secret("r"), "</a>"], {"/a/processing-instruction('p') tail": ["r"]}),
        (["<a>p<![CDATA[<", secret("q&amp;"), "]]>r</a>"], {"/a text": ["q&amp;"]}),
        (["<a b = '", secret("p"), '\' c="p"/>'], {"/a b": ["p"]}),
        (["<a>", secret("&#65;"), "&#65;</a>"], {"/a text": ["A"]}),
        (["<a>p\r\n", secret("q\r\nr"), "</a>"], {"/a text": ["q\nr"]}),
        (
            ["<?xml version='1.0'?>\n<!-- b --><!DOCTYPE a [<!ENTITY e 'p'>]><a>p", secret("q"), "</a>"],
            {"/a text": ["q"]},
        ),
        (["<a b='", "p", "'>", secret("p"), "</a>"], {"/a text": ["p"]}),
        (["<a>p<b/>q</a>", secret(" ")], {}),
        ([secret("<a b='p'>q<b/>r</a>")], {"/a text": ["q"], "/a b": ["p"], "/a/b tail": ["r"]}),
        (["<!DOCTYPE a [<!ATTLIST a b CDATA 'p'>]><a c='", secret("q"), "'/>"], {"/a c": ["q"]}),
        (["<a xmlns:n='urn:n' n:b='p' b='", secret("p"), "'/>"], {"/a b": ["p"]}),
    ],
    ids=str,
)
def test_parsing(document: list[str], expected: dict[str, list[str]]) -> None:
    """Labelled is what stands for a labelled part of the document, and nothing else."""
    text = functools.reduce(operator.add, document)
    root = etree.fromstring(text)
    assert leaves(root) == expected
    assert leaves(etree.XML(text.encode())) == expected
    assert etree.tostring(root) == etree.tostring(etree.fromstring(taint.plain(text)))


def test_entity_that_stays() -> None:
    """Text behind an entity that is not resolved is labelled as a whole where the document is labelled at all."""
    parser = etree.XMLParser(resolve_entities=False)
    root = etree.fromstring("<!DOCTYPE a [<!ENTITY e 'p'>]><a>&e;" + secret("q") + "</a>", parser)
    assert marked(root[0].tail) == ["q"]


def test_reading() -> None:
    """Whatever reads a text or attribute gives the carrier."""
    root = person(secret)
    assert [marked(text) for text in root.itertext()] == [["+1415"], [], ["a\nb"], ["<é&\U0001f600"], []]
    assert marked(root.findtext("phone")) == ["+1415"]
    assert root.findtext("none", secret("d")) == "d"
    assert marked(root.get("phone")) == marked(root.attrib["phone"]) == marked(root.attrib.get("phone")) == ["+1415"]
    assert (
        [marked(value) for value in root.values()]
        == [marked(value) for value in root.attrib.values()]
        == [[], ["+1415"]]
    )
    assert [marked(value) for _, value in root.items()] == [[], ["+1415"]]
    assert marked(dict(root.attrib)["phone"]) == marked({**root.attrib}["phone"]) == ["+1415"]
    assert marked(root[2].get(etree.QName("urn:y", "a"))) == ['<é&"\n']
    assert marked(root.attrib.pop("phone")) == ["+1415"]
    assert root.get("phone") is None
    assert root.find("phone[@kind='of Ann']") is root[0]


def test_attributes_are_those_of_lxml() -> None:
    """What `attrib` gives does what lxml's own does, for code in C too."""
    root, plain = person(secret), etree.fromstring("<a/>")
    assert isinstance(root.attrib, etree._Attrib)
    assert root.attrib == {"id": "+1415", "phone": "+1415"} != {}
    assert repr(root.attrib) == "{'id': '+1415', 'phone': '+1415'}"
    assert (len(root.attrib), list(root.attrib), "id" in root.attrib, bool(root.attrib)) == (
        2,
        ["id", "phone"],
        True,
        True,
    )
    plain.attrib.update(root.attrib)
    assert etree.tostring(plain) == b'<a id="+1415" phone="+1415"/>'
    twin = etree.Element("b", root.attrib)
    assert leaves(twin) == {"/b phone": ["+1415"]}
    twin.attrib.update(
        {"p": secret("q")},
    )
    twin.attrib.update([("r", secret("s"))])
    del twin.attrib["phone"]
    assert leaves(twin) == {"/b p": ["q"], "/b r": ["s"]}
    assert type(copy.copy(twin.attrib)) is type(copy.deepcopy(twin.attrib)) is dict
    with pytest.raises(AttributeError):
        twin.attrib.setdefault("a", "b")
    with pytest.raises(TypeError):
        twin.attrib | {}
    with pytest.raises(KeyError):
        twin.attrib["none"]
    twin.attrib.clear()
    assert etree.tostring(twin) == b"<b/>"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("//phone/text()", [["+1415"]]),
        ("//@phone", [["+1415"]]),
        ("//clean/text() | //@id", [[], []]),
        ("//clean", [[]]),
        ("string(//phone)", ["tel:+1415"]),
        ("string()", ["+1415", "a\nb<é&\U0001f600"]),
        ("translate(//phone, '+145', '*ABC')", ["tel:*ABAC"]),
        ("name(//clean)", []),
        ("count(//phone)", []),
        ("string(//none)", []),
    ],
)
def test_xpath(path: str, expected: list[Any]) -> None:
    """Labelled is a text found at a labelled place; a computed one where labelled texts stand in it, or as a whole."""
    plain = person(str).xpath(path)
    for search in (person(secret).xpath, person(secret).getroottree().xpath, lambda p: etree.XPath(p)(person(secret))):
        found = search(path)
        assert found == plain or path == "//clean"
        assert ([marked_in(one) for one in found] if isinstance(found, list) else marked_in(found)) == expected


def marked_in(value: Any) -> list[Any]:
    """Give the labelled parts of what may be no text."""
    return marked(value) if isinstance(value, str) else []


def test_xpath_results_say_where_they_were_found() -> None:
    """A labelled result has the attributes of lxml's own."""
    root = person(secret)
    (text,), (value,) = root.xpath("phone/text()"), root.xpath("@phone")
    assert (text.getparent(), text.is_text, text.is_tail, text.is_attribute, text.attrname) == (
        root[0],
        True,
        False,
        False,
        None,
    )
    assert (value.getparent(), value.is_text, value.is_attribute, value.attrname) == (root, False, True, "phone")
    assert type(root.xpath("clean/text()")[0]) is etree._ElementUnicodeResult
    assert root.xpath("string()").getparent() is None


def forgotten(root: Any) -> Any:
    """Have everything be collected that only the tree's own elements hold, and give the tree."""
    gc.collect()
    return root


def test_labels_stay_while_an_element_is_held() -> None:
    """Whichever element of a tree is held, no label of the tree goes."""
    child = person(secret)[1]
    assert leaves(forgotten(child).getparent()) == LEAVES
    child = etree.fromstring(etree.tostring(person(secret)))[1]
    assert leaves(forgotten(child).getparent()) == LEAVES
    late = etree.SubElement(person(secret), "late")
    assert leaves(forgotten(late).getparent()) == LEAVES
    tree = etree.ElementTree(person(secret))
    assert leaves(forgotten(tree).getroot()) == LEAVES


def test_nothing_is_kept() -> None:
    """A thousand labelled trees are gone when nobody holds them, and so is what was taken out of one that stays."""
    stays = root = etree.Element("stays", p=secret("q"))
    for _ in range(1000):
        root = etree.fromstring(etree.tostring(person(secret)))
        stays.append(copy.deepcopy(root))
        stays.remove(stays[0])
        etree.SubElement(stays, "b").text = secret("x")
        stays[0:1] = []
        etree.SubElement(stays, "b").text = secret("x")
        etree.Element("c", d=secret("e")).append(stays[0])
    del root
    gc.collect()
    assert [len(tree.elements) for tree in gc.get_objects() if type(tree) is Tree] == [1]


def moving(make: Callable[[Any, Any], None]) -> Any:
    """Give a tree to which a labelled element was moved, and of which only the root is held."""
    target = etree.fromstring(secret("<t><u/><v/></t>"))
    moved = person(secret)[0]
    moved.tail = secret("tail")
    make(target, moved)
    del moved
    return forgotten(target)


@pytest.mark.parametrize(
    "make",
    [
        lambda target, moved: target.append(moved),
        lambda target, moved: target.insert(1, moved),
        lambda target, moved: target.extend(iter([moved])),
        lambda target, moved: target.replace(target[0], moved),
        lambda target, moved: target[0].addnext(moved),
        lambda target, moved: target[1].addprevious(moved),
        lambda target, moved: target.__setitem__(0, moved),
        lambda target, moved: target.__setitem__(slice(0, 2), [moved]),
        lambda target, moved: target.append(copy.copy(moved)),
        lambda target, moved: target.append(copy.deepcopy(etree.ElementTree(moved)).getroot()),
    ],
)
def test_moves(make: Callable[[Any, Any], None]) -> None:
    """An element that is moved or copied to another tree takes its labels, and those under it, along."""
    target = moving(make)
    (phone,) = target.findall(".//phone")
    assert marked(phone.text) == ["+1415"]
    assert marked(phone.get("kind")) == ["Ann"]


def test_moves_between_unlabelled_trees() -> None:
    """A tree that gets its first label with a moved element keeps it."""
    target = etree.Element("t")
    etree.SubElement(target, "u")
    target.append(person(secret))
    assert len(leaves(forgotten(target))) == len(LEAVES)
    assert len(leaves(target)) == len(LEAVES)


@pytest.mark.parametrize(
    "take",
    [
        lambda root: root.remove(root[0]),
        lambda root: root.__delitem__(0),
        lambda root: root.replace(root[0], etree.Element("n")),
        lambda root: root.clear(),
    ],
)
def test_taken_out(take: Callable[[Any], None]) -> None:
    """What is taken out of a tree keeps its labels, whichever of its elements is held, and the tree keeps its own."""
    root = etree.Element("r", p=secret("q"))
    root.append(person(secret))
    inner = root[0][1]
    take(root)
    gc.collect()
    assert marked(inner.getprevious().text) == ["+1415"]
    assert marked(root.get("p") or "") == (["q"] if root.attrib else [])


def test_what_is_replaced_is_not_labelled() -> None:
    """A text that was replaced by a plain one, an equal one too, is plain."""
    root = person(secret)
    root.set("phone", "+1415")
    root[0].text = "tel:+1415"
    root[0].attrib["kind"] = "of Ann"
    assert set(leaves(root)) == {path for path in LEAVES if "ns0" in path}


def test_what_c_code_changed_is_what_the_tree_says() -> None:
    """A text that lxml changed by itself is the changed one."""
    root = etree.fromstring("<a>" + secret("p") + "<b>q</b></a>")
    etree.strip_tags(root, "b")
    assert root.text == "pq"


def test_attributes_in_another_order() -> None:
    """A canonical form has attributes in its own order, each with its own labels, and one name may be there twice."""
    root = etree.Element("a", {"p": secret("q"), "b": "q", "{urn:n}p": "r", "{urn:m}p": secret("s")})
    expected = {"/a p": ["q"], "/a {urn:m}p": ["s"]}
    for method in ("xml", "c14n"):
        assert leaves(etree.fromstring(etree.tostring(root, method=method))) == expected


def test_a_part_of_a_tree() -> None:
    """The document of one element has its labels, the text behind it included, and no others."""
    root = person(secret)
    assert [marked(etree.tostring(one)) for one in root] == [
        [b"Ann", b"+1415"],
        [],
        marked(etree.tostring(root[2])),
        [],
    ]
    assert etree.tostring(root[2], encoding="unicode").endswith("</ns0:last>&lt;é&amp;\U0001f600")
    assert marked(etree.tostring(root[2], encoding="unicode"))[-1] == "&lt;é&amp;\U0001f600"
    assert marked(etree.tostring(root[2], encoding="unicode", with_tail=False))[-1] == "a\nb"


@pytest.mark.parametrize("value", [secret(b"x"), etree.CDATA, None], ids=["bytes", "CDATA", "none"])
def test_other_texts(value: Any) -> None:
    """Bytes and sections keep labels; None takes the text away."""
    element = etree.Element("a")
    element.text = secret("before")
    element.text = etree.CDATA(secret("x")) if callable(value) else value
    assert element.text == (value and "x")
    assert bool(taint.labels_of(element.text)) is (value is not None)
    if callable(value):
        assert etree.tostring(element) == b"<a><![CDATA[x]]></a>"
        assert marked(etree.tostring(element)) == [b"x"]


def test_element_maker() -> None:
    """Trees that `lxml.builder` makes keep labels."""
    e = lxml.builder.E
    assert marked(etree.tostring(e.a(e.b("p", secret("q")), c=secret("r")))) == [b"r", b"q"]
    assert (
        marked(lxml.html.tostring(lxml.html.builder.P(secret("q")))) == [b"q"]
        if hasattr(lxml.html, "builder")
        else True
    )


@pytest.mark.parametrize("is_text", [True, False])
def test_streams(*, is_text: bool) -> None:
    """A stream in memory is parsed, and written, with the labels of what is in it."""
    text = "<a>p" + secret("q") + "</a>"
    labelled = secret(io.StringIO("<a>q</a>") if is_text else io.BytesIO(b"<a>q</a>"))
    for _ in range(2):
        assert leaves(etree.parse(labelled).getroot()) == {"/a text": ["q"]}
    taint.install()
    stream: Any = io.StringIO() if is_text else io.BytesIO()
    stream.write(text if is_text else text.encode())
    stream.seek(0)
    tree = etree.parse(stream)
    assert leaves(tree.getroot()) == {"/a text": ["q"]}
    written = io.BytesIO()
    tree.write(written)
    assert written.getvalue() == b"<a>pq</a>"
    assert marked(written.getvalue()) == [b"q"]
    plain = io.StringIO("<a>q</a>") if is_text else io.BytesIO(b"<a>q</a>")
    assert type(etree.parse(plain).getroot()) is etree._Element


def test_html() -> None:
    """`lxml.html` keeps labels in what it parsed, labelled or not, in forms and in what it writes."""
    page = lxml.html.fromstring("<p id='q'>p" + secret("q") + "<br>r</p>")
    assert type(page) is lxml.html.HtmlElement
    assert marked(page.text_content()) == ["q"]
    assert marked(lxml.html.tostring(page)) == [b"q"]
    mixed = "<p>q<p class='q'>" + secret("q") + "&amp;<br><!-- q -->q<table><td>q</table>"
    assert leaves(lxml.html.fromstring(mixed)) == {"/html/div/p[2] text": ["q"]}
    page = lxml.html.fromstring("<form><input name='a'><p>q</p></form>")
    page.forms[0].fields["a"] = secret("q")
    assert marked(page.forms[0].fields["a"]) == ["q"]
    assert marked(lxml.html.tostring(page, encoding="unicode")) == ["q"]
    assert [element for element in page.iter() if taint.labels_of(element.text)] == []
    assert marked(etree.HTML("<p>p" + secret("q") + "</p>").findtext("body/p")) == ["q"]


def test_html_that_is_compared() -> None:
    """Code of lxml that was compiled for exact text gets exact text, and its result is labelled."""
    before, after = "<p>" + secret("Ann") + "</p>", "<p>Bob</p>"
    compared = lxml.html.diff.htmldiff(before, after)
    assert compared == lxml.html.diff.htmldiff(taint.plain(before), after)
    assert taint.labels_of(compared)
    assert not taint.labels_of(lxml.html.diff.htmldiff(after, after))
    link = lxml.html.fromstring("<p><a href='" + secret("Ann") + "'>" + secret("Ann") + "</a></p>")
    assert taint.labels_of(lxml.html.diff.htmldiff(link, after))
    assert marked(link[0].text) == ["Ann"]
    annotated = lxml.html.diff.html_annotate([(before, "a"), (after, "b")])
    assert taint.labels_of(annotated)


class Own(etree.ElementBase):  # type: ignore[misc]  # lxml has no types.
    """An element class of the program's own."""


def test_own_classes() -> None:
    """A parser with element classes of its own keeps them; that labels are lost there is counted."""
    losses.reset()
    parser = etree.XMLParser()
    parser.set_element_class_lookup(etree.ElementDefaultClassLookup(element=Own))
    root = etree.fromstring("<a>" + secret("q") + "</a>", parser)
    assert type(root) is Own
    assert not taint.labels_of(root.text)
    assert sum(losses.counts().values()) == 1
    etree.set_default_parser(parser)
    try:
        assert type(etree.Element("a")) is Own
    finally:
        etree.set_default_parser(None)


def test_style_sheets() -> None:
    """An instruction that names a style sheet still gives it."""
    sheet = "<xsl:stylesheet xmlns:xsl='http://www.w3.org/1999/XSL/Transform' version='1.0' xml:id='s'/>"
    root = etree.fromstring(f"<?xml-stylesheet type='text/xsl' href='#s'?><a>{sheet}" + secret("q") + "</a>")
    assert root.getprevious().parseXSL().getroot().tag.endswith("stylesheet")
    assert leaves(root) == {"/a/xsl:stylesheet tail": ["q"]}


def test_own_parser() -> None:
    """The options of a parser, its target and its subclass are respected."""
    parser = etree.XMLParser(remove_blank_text=True, remove_comments=True)
    root = etree.fromstring("<a> <b>" + secret("q") + "</b> <!-- c --></a>", parser)
    assert etree.tostring(root) == b"<a><b>q</b></a>"
    assert leaves(root) == {"/a/b text": ["q"]}
    assert etree.fromstring(secret("<a/>"), etree.XMLParser(target=Target())) == ["a"]


class Target:
    """A parser's target that lists tags."""

    def __init__(self) -> None:
        self.tags: list[str] = []

    def start(self, tag: str, _attributes: object) -> None:
        """List it."""
        self.tags.append(tag)

    def end(self, tag: str) -> None:
        """Do nothing."""

    def close(self) -> list[str]:
        """Give what was listed."""
        return self.tags


def test_own_classes_of_some_elements() -> None:
    """A parser that has classes of its own for some elements only keeps them."""
    lookup = etree.ElementNamespaceClassLookup()
    lookup.get_namespace("urn:own")["b"] = Own
    parser = etree.XMLParser()
    parser.set_element_class_lookup(lookup)
    root = etree.fromstring(secret("<a xmlns='urn:own'><b/></a>"), parser)
    assert [type(element) for element in root.iter()] == [etree._Element, Own]


class Once(etree.Resolver):  # type: ignore[misc]  # lxml has no types.
    """A resolver that answers one time."""

    is_done = False
    then = ""

    def resolve(self, _url: str, _id: str, context: Any) -> Any:
        """Answer."""
        if self.is_done:
            return self.resolve_string(self.then, context)
        self.is_done = True
        return self.resolve_string("<!ENTITY e 'q'>", context)


@pytest.mark.parametrize("then", ["", "<!ENTITY e 'r'>"])
def test_a_document_that_cannot_be_parsed_twice(then: str) -> None:
    """Where parsing into our elements fails, or gives another tree, the program has its own tree."""
    losses.reset()
    parser = etree.XMLParser(load_dtd=True, resolve_entities=True)
    once = Once()
    once.then = then
    parser.resolvers.add(once)
    root = etree.fromstring(secret("<!DOCTYPE a SYSTEM 'x.dtd'><a>&e;</a>"), parser)
    assert root.text == "q"
    assert sum(losses.counts().values()) == 1


def test_the_same_for_the_program() -> None:
    """Elements are lxml's for `isinstance`, show as lxml's, and errors are lxml's; `type` is another."""
    element = etree.Element("a", b=secret("c"))
    assert isinstance(element, etree._Element)
    if etree.LXML_VERSION >= (6,):  # Before, it was a function.
        assert isinstance(element, etree.Element)
    assert etree.iselement(element)
    assert type(element) is not etree._Element
    assert str(type(element)) == str(etree._Element)
    assert repr(element).startswith("<Element a at 0x")
    assert element != copy.copy(element)
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(element)
    with pytest.raises(etree.XMLSyntaxError) as broken:
        etree.fromstring(secret("<a>"))
    with pytest.raises(etree.XMLSyntaxError) as plainly:
        etree.fromstring("<a>")
    assert str(broken.value) == str(plainly.value)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda element: element.append("x"),
        lambda element: element.set("a", 1),
        lambda element: element.set("a", None),
        lambda element: element.set("a"),
        lambda element: element.extend([element, None]),
        lambda element: element.remove(element),
        lambda element: element.replace(element, element),
        lambda element: element.__setitem__(0, element),
        lambda element: element.__delitem__(7),
        lambda element: element.xpath("//["),
        lambda element: element.attrib["none"],
        lambda element: element.attrib.pop("none"),
        lambda element: element.attrib.update({"a": 1}),
        lambda element: setattr(element, "text", 1),
        lambda element: setattr(element, "text", "\x00"),
        lambda element: etree.SubElement(element, "a", b=1),
        lambda element: etree.tostring(element, encoding="none"),
    ],
)
def test_same_exceptions(wrong: Callable[[Any], Any]) -> None:
    """What lxml refuses is refused with its own error."""
    told = []
    for _ in range(2):
        with pytest.raises(Exception) as caught:  # noqa: PT011  # Which one is what is compared.
            wrong(etree.Element("a"))
        told.append((caught.type, str(caught.value)))
        taint.uninstall()
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "parse",
    [
        lambda path: etree.fromstring("<a><b/></a>"),
        lambda path: etree.XML(b"<a><b/></a>", parser=etree.XMLParser(remove_comments=True)),
        lambda path: etree.HTML("<a><b></b></a>")[0][0],
        lambda path: etree.parse(io.BytesIO(b"<a><b/></a>")).getroot(),
        lambda path: etree.parse(str(path)).getroot(),
        lambda path: etree.parse(source=path).getroot(),
    ],
)
def test_templates(parse: Callable[[Any], Any], tmp_path: Path) -> None:
    """With `documents=True` a tree that was parsed without labels can be given them."""
    path = tmp_path / "a.xml"
    path.write_text("<a><b/></a>", encoding="utf-8")
    assert type(parse(path)) is etree._Element
    taint.uninstall()
    taint.install(integrations=[LxmlIntegration(documents=True)])
    root = parse(path)
    root[0].text = secret("q")
    assert marked(forgotten(root)[0].text) == ["q"]
    assert marked(etree.tostring(root)) == [b"q"]


def test_templates_of_own_classes() -> None:
    """With `documents=True` a parser's own element classes stay, and nothing is counted where nothing is labelled."""
    taint.uninstall()
    taint.install(integrations=[LxmlIntegration(documents=True)])
    losses.reset()
    parser = etree.XMLParser()
    parser.set_element_class_lookup(etree.ElementDefaultClassLookup(element=Own))
    assert type(etree.fromstring("<a/>", parser)) is Own
    assert etree.fromstring("<a/>", etree.XMLParser(target=Target())) == ["a"]
    assert losses.counts() == {}


def test_parsed_without_labels() -> None:
    """A tree that is parsed from unlabelled text is lxml's own, element by element."""
    assert {type(element) for element in etree.fromstring("<a><b/><!-- c --></a>").iter()} == {
        etree._Element,
        etree._Comment,
    }
    assert type(etree.parse(io.BytesIO(b"<a/>"))) is etree._ElementTree


def test_threads_and_uninstall() -> None:
    """Elements that are held when the library is taken off work on, and hold what they held."""
    root = person(secret)
    taint.uninstall()
    assert leaves(root) == LEAVES
    assert type(etree.Element("a")) is etree._Element
    assert "text" in vars(lxml.html.HtmlElement)
    assert vars(lxml.html.HtmlElement)["text"] is vars(etree._Element)["text"]


@taint.sink(purpose="advertising.audiences")
def upload(rows: Any) -> None:
    """Send to advertising."""


@pytest.mark.parametrize(
    "rows",
    [
        lambda root: etree.tostring(root),
        lambda root: [element.text for element in root.iter()],
        lambda root: root.xpath("//phone/text()"),
        lambda root: root[0].attrib,
    ],
)
@pytest.mark.parametrize(("purpose", "violations"), [("security.mfa", 1), ("advertising", 0)])
def test_detection(rows: Callable[[Any], Any], purpose: str, violations: int) -> None:
    """A phone number that went through a document is found at a sink; one that was collected for it passes."""
    phone = taint.label("+14155550100", purpose=purpose)
    root = etree.fromstring("<people><phone also='" + phone + "'>" + phone + "</phone></people>")
    with record(mode="report") as seen:
        upload(rows(root))
    assert len({violation.rule for violation in seen.violations}) == violations
