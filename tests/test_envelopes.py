"""Envelopes: the format, its vectors, its bounds, and what happens to one that cannot be verified."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import taint
from taint import telemetry
from taint.carriers.text import carry_bytes, carry_text
from taint.envelopes.carrying import arrived, leaving
from taint.envelopes.envelope import HEADER_BYTES, MAX_BYTES, Problem, open_envelope, seal
from taint.envelopes.facts import DISTRUSTED, UNDISCLOSED, canonical, label_from, label_table
from taint.envelopes.hosts import is_own_host
from taint.envelopes.keys import EnvelopeKeys, set_keys
from taint.labels import Grant, Label, Labels, Trace
from taint.testing import record

VECTORS = Path(__file__).resolve().parent.parent / "docs" / "envelopes.vectors.json"
SECRET = bytes(range(32))
KEYS = EnvelopeKeys({"k1": SECRET})
PHONE = "+14155550100"


@pytest.fixture(autouse=True)
def _keys() -> Iterator[None]:
    """The process has one key, and has none of it left afterwards."""
    before = set_keys(KEYS)
    yield
    set_keys(before)


def phone(purpose: str = "security.mfa", **more: Any) -> str:
    """A labelled number."""
    return taint.label(PHONE, purpose=purpose, source="shop.enrol", **more)


def document(*purposes: str) -> bytes:
    """A JSON body in which each purpose has a labelled number."""
    taint.install(integrations=[])
    return json.dumps({"id": 7, **{purpose: phone(purpose) for purpose in purposes}}).encode()


def vectors() -> list[dict[str, Any]]:
    """Read the vectors that the documentation has."""
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
    return found


def body_of(vector: dict[str, Any]) -> bytes:
    """Give the body of a vector, as bytes."""
    return base64.b64decode(vector["body"])


def keys_of(vector: dict[str, Any]) -> EnvelopeKeys:
    """Give the keys that a vector is read with."""
    return EnvelopeKeys(vector["keys"])


def placed(body: bytes, coverage: Any) -> list[dict[str, Any]]:
    """Say which bytes carry which labels, as vectors have it."""
    labelled = carry_bytes(body, coverage)
    return [
        {
            "start": one.start,
            "stop": one.stop,
            "labels": sorted((label_table(label) for label in one.labels), key=canonical),
        }
        for one in taint.ranges_of(labelled)
    ]


@pytest.mark.parametrize("vector", vectors(), ids=lambda vector: vector["name"])
def test_vector_is_read(vector: dict[str, Any]) -> None:
    """Every vector of the documentation gives the labels, or the problem, that stands there."""
    body = body_of(vector)
    opened = open_envelope(vector["envelope"], body, context=vector["context"], keys=keys_of(vector))
    assert opened.problem == vector.get("problem")
    assert placed(body, opened.coverage) == vector.get("ranges", [])


@pytest.mark.parametrize(
    "vector", [vector for vector in vectors() if vector.get("is_written")], ids=lambda vector: vector["name"]
)
def test_vector_is_written(vector: dict[str, Any]) -> None:
    """What is written for a vector's labels is the vector, byte for byte."""
    body = body_of(vector)
    spans = tuple((one["start"], one["stop"], Labels(map(label_from, one["labels"]))) for one in vector["ranges"])
    whole = len(spans) == 1 and spans[0][:2] == (0, len(body))
    labelled = carry_bytes(body, spans[0][2] if whole else spans)
    assert seal(labelled, context=vector["context"], keys=keys_of(vector)) == vector["envelope"]


def test_another_language_can_write_it() -> None:
    """An envelope that is made by the page's words alone, without the library, is accepted."""
    body = b'{"phone":"+1","id":2}'
    begin = b"taint-envelope-body.4.http." + body
    digest = base64.urlsafe_b64encode(hmac.new(SECRET, begin, hashlib.sha256).digest()[:16]).decode().rstrip("=")
    payload = json.dumps({"b": digest, "l": [{"p": ["security.mfa"]}], "p": [["/phone", [0]]]})
    text = "1.k1." + base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")
    mac = hmac.new(SECRET, b"taint-envelope." + text.encode(), hashlib.sha256).digest()
    envelope = f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    opened = open_envelope(envelope, body, context="http")
    assert opened.problem is None
    assert placed(body, opened.coverage) == [{"start": 10, "stop": 12, "labels": [{"p": ["security.mfa"]}]}]


FULL = Label(
    frozenset(("security.mfa", "security")),
    "user.contact.phone_number",
    "shop.enrol",
    "person-17",
    "receipt-4",
    Trace(2**100, 2**50),
    frozenset((Grant(frozenset(("advertising",)), "review-118", "receipt-5", dt.datetime(2027, 1, 2, tzinfo=dt.UTC)),)),
    "indirect",
)


@pytest.mark.parametrize("label", [FULL, Label(frozenset(("security",))), Label(frozenset(("security",)), source="ü")])
def test_every_fact_travels(label: Label) -> None:
    """A label is the same label after the way."""
    body = carry_text("x", Labels((label,)))
    assert open_envelope(seal(body), "x").coverage == Labels((label,))


BODIES: dict[str, Callable[[], Any]] = {
    "object": lambda: {"id": 7, "phone": phone()},
    "nested": lambda: {"rows": [{"a": [1, phone()]}, {"a": []}, {"b": phone("marketing")}]},
    "list": lambda: [phone(), "plain"],
    "text": phone,
    "number": lambda: {"n": taint.label(7, purpose="security.mfa"), "m": 8},
    "escaped names": lambda: {"a/b": phone(), "c~d": {"": phone("marketing")}, "~1": "plain"},
    "other scripts": lambda: {"ключ": phone(), "name": "Ångström 𝒳", "last": phone("marketing")},
    "quotes": lambda: {"a": '"\\', "b": taint.label('x"\n\\', purpose="security.mfa")},
}


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("make", BODIES.values(), ids=BODIES)
def test_same_leaves(make: Callable[[], Any], ascii_only: bool) -> None:
    """What is loaded on the other side carries the same labels on the same leaves, and no others."""
    taint.install(integrations=[])
    original = make()
    body = json.dumps(original, ensure_ascii=ascii_only).encode()
    plain = bytes(bytearray(body))
    for one in (arrived(plain, leaving(body, channel="test"), channel="test"),):
        loaded = json.loads(one)
        assert loaded == original
        assert leaves(loaded) == leaves(original)


def leaves(value: Any) -> Any:
    """Give the shape of a value with labels in place of leaves."""
    if isinstance(value, dict):
        return {key: leaves(item) for key, item in value.items()}
    return list(map(leaves, value)) if isinstance(value, list) else taint.labels_of(value)


@given(
    st.recursive(
        st.text() | st.integers() | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    ),
    st.data(),
)
def test_any_document(value: Any, data: Any) -> None:
    """Wherever labels are in a JSON document, they are there on the other side too, and are never less."""
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    start = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(start + 1, len(text)))
    labels = Labels((Label(frozenset(("security.mfa",))),))
    body = text.encode("utf-8", "surrogatepass")
    labelled = carry_text(text, ((start, stop, labels),) if stop - start < len(text) else labels)
    opened = open_envelope(seal(labelled, keys=KEYS, max_bytes=MAX_BYTES), body, keys=KEYS)
    assert opened.problem is None
    assert opened.coverage
    if text.isascii() and text.strip('[]{}:, "'):
        covered = {at for a, b, _ in taint.ranges_of(carry_bytes(body, opened.coverage)) for at in range(a, b)}
        inner = {at for at in range(start, stop) if text[at] not in '[]{}:, "\\'}
        assert covered >= inner or not inner


def test_bound() -> None:
    """Over the bound the envelope covers the whole body, then leaves out what describes, then allows nothing."""
    taint.install(integrations=[])
    rows = [taint.label(PHONE, purpose="security.mfa", source=f"enrol.{at}", subject=str(at)) for at in range(3)]
    exact = json.dumps({"rows": ["x", *rows]}).encode()
    steps: list[Any] = []
    for bound in range(HEADER_BYTES, 0, -20):
        envelope = seal(exact, max_bytes=bound)
        assert envelope is not None
        if len(envelope) > bound:
            break
        coverage = open_envelope(envelope, bytes(bytearray(exact))).coverage
        if not steps or steps[-1] != coverage:
            steps.append(coverage)
    ranges, whole, reduced, nothing = steps
    assert len(taint.ranges_of(carry_bytes(bytes(bytearray(exact)), ranges))) == 3
    assert whole == taint.labels_of(rows)
    assert reduced == Labels(Label(frozenset(("security.mfa",)), source=f"enrol.{at}") for at in range(3))
    assert [label.purposes for label in nothing] == [{UNDISCLOSED}]
    with record() as seen:
        taint.check(carry_text("x", nothing), purpose="security.mfa", sink="crm")
    assert len(seen.violations) == 1


def test_no_label_is_no_envelope() -> None:
    """A body without labels has no envelope, and no key is needed for it."""
    set_keys(EnvelopeKeys({}))
    with record() as seen:
        assert leaving(b"plain", channel="http") is None
        assert arrived(b"plain", None, channel="http") == b"plain"
    assert seen.gaps == []


def changed(envelope: str, at: int) -> str:
    """Change one character of an envelope."""
    return envelope[:at] + ("A" if envelope[at] != "A" else "B") + envelope[at + 1 :]


def other_labels(envelope: str) -> str:
    """Exchange the labels for others, under the old signature."""
    version, key_id, payload, mac = envelope.split(".")
    table = json.loads(base64.urlsafe_b64decode(payload + "==="))
    table["l"] = [{"p": ["marketing"], "s": "+14155550100", "g": [{"p": ["advertising"], "a": "me"}]}]
    return f"{version}.{key_id}.{base64.urlsafe_b64encode(canonical(table).encode()).decode().rstrip('=')}.{mac}"


BAD: dict[str, tuple[Callable[[str], object], Problem, set[str]]] = {
    "forged signature": (lambda one: changed(one, len(one) - 20), Problem.FORGED, {"security.mfa"}),
    "other labels": (other_labels, Problem.FORGED, {"marketing"}),
    "no labels": (lambda one: one.replace(one.split(".")[2], "e30"), Problem.FORGED, set()),
    "other key": (lambda one: one.replace("1.k1.", "1.k2."), Problem.UNKNOWN_KEY, {"security.mfa"}),
    "cut": (lambda one: one[: len(one) // 2], Problem.TRUNCATED, set()),
    "cut in the signature": (lambda one: one[:-1], Problem.TRUNCATED, set()),
    "longer": (lambda one: one + "x", Problem.TRUNCATED, set()),
    "newer version": (lambda one: "2" + one[1:], Problem.UNKNOWN_VERSION, set()),
    "no version": (lambda _: "something else", Problem.TRUNCATED, set()),
    "empty": (lambda _: "", Problem.MISSING, set()),
    "not a text": (lambda _: 7, Problem.TRUNCATED, set()),
    "as bytes, forged": (lambda one: changed(one, len(one) - 9).encode(), Problem.FORGED, {"security.mfa"}),
    "huge": (lambda one: one + "x" * (1 << 20), Problem.TRUNCATED, set()),
}


@pytest.mark.parametrize(("change", "problem", "added"), BAD.values(), ids=BAD)
def test_bad_envelope_removes_nothing(change: Callable[[str], object], problem: Problem, added: set[str]) -> None:
    """An envelope that is not verified removes no label, may add a known purpose, and is a gap that is counted."""
    telemetry.reset()
    body = document("security.mfa")
    envelope = seal(body)
    assert envelope is not None
    own = taint.label(bytes(bytearray(body)), purpose="advertising", source="route")
    with record() as seen:
        got = arrived(own, change(envelope), channel="http")
    assert got == body
    assert taint.labels_of(own) <= taint.labels_of(got)
    new = Labels(taint.labels_of(got) - taint.labels_of(own))
    assert new.purposes == added
    assert all(label.source == DISTRUSTED and not label.grants and not label.subject for label in new)
    (gap,) = seen.gaps
    assert (gap.rule, gap.sink) == (f"envelope-{problem.value}", "envelope.http")
    assert PHONE not in gap.message
    assert problem.value in gap.message
    assert [dict(one.attributes or {}) for one in telemetry.metrics.gaps.observe()] == [
        {"taint.sink.name": "envelope.http", "taint.sink.purpose": "", "security_rule.name": gap.rule}
    ]


def test_good_envelope_is_no_gap() -> None:
    """The safe twin: an envelope that is verified is said nothing of."""
    body = document("security.mfa")
    with record() as seen:
        got = arrived(bytes(bytearray(body)), leaving(body, channel="http"), channel="http")
    assert taint.ranges_of(got) == taint.ranges_of(body)
    assert seen.gaps == []


def test_replay() -> None:
    """An envelope of another body, or of the same body in another place, is not accepted."""
    theirs, ours = document("marketing"), document("security.mfa")
    body = bytes(bytearray(ours))
    with record() as seen:
        got = arrived(body, leaving(theirs, channel="redis", context="a"), channel="redis", context="a")
        arrived(body, leaving(ours, channel="redis", context="b"), channel="redis", context="a")
    assert {label.source for label in taint.labels_of(got)} == {DISTRUSTED}
    assert [gap.rule for gap in seen.gaps] == ["envelope-replayed"] * 2


def test_contexts_do_not_run_together() -> None:
    """A context and a body that give the same bytes one after another are not the same."""
    envelope = seal(taint.label("b", purpose="security.mfa"), context="a.")
    assert open_envelope(envelope, ".b", context="a").problem is Problem.REPLAYED
    assert open_envelope(envelope, "b", context="a.").problem is None


def test_required() -> None:
    """Where an envelope is required, none is a gap; where it is not, none is nothing."""
    with record() as seen:
        arrived(b"x", None, channel="http")
        arrived(b"x", None, channel="http", is_required=True)
    assert [gap.rule for gap in seen.gaps] == ["envelope-missing"]


def test_rotation() -> None:
    """A key is rotated in flight: what the old one signed is read until it is taken out."""
    body = document("security.mfa")
    plain = bytes(bytearray(body))
    old = seal(body)
    rotated = EnvelopeKeys({"k2": b"2" * 32, "k1": SECRET})
    new = seal(body, keys=rotated)
    assert new is not None
    assert new.startswith("1.k2.")
    assert open_envelope(old, plain, keys=rotated).problem is None
    assert open_envelope(new, plain, keys=EnvelopeKeys({"k1": SECRET, "k2": b"2" * 32})).problem is None
    assert open_envelope(old, plain, keys=EnvelopeKeys({"k2": b"2" * 32})).problem is Problem.UNKNOWN_KEY
    assert open_envelope(old, plain, keys=EnvelopeKeys({"k1": b"2" * 32})).problem is Problem.FORGED


def test_no_key() -> None:
    """Without a key labels cannot be sent: that is counted and a gap, and the body is sent."""
    set_keys(EnvelopeKeys({}))
    with record() as seen:
        assert leaving(phone(), channel="celery") is None
    assert [gap.rule for gap in seen.gaps] == ["envelope-no-key"]
    assert taint.losses.counts()["celery without an envelope key"] == 1


def test_off() -> None:
    """In mode `off` nothing is sent or read."""
    body = phone()
    envelope = seal(body)
    with record(mode="off") as seen:
        assert leaving(body, channel="http") is None
        assert type(arrived("x", envelope, channel="http")) is str
    assert seen.gaps == []


def test_labels_join() -> None:
    """What a body carries already stays, part by part, beside what the envelope says."""
    body = document("security.mfa", "marketing")
    own = carry_bytes(bytes(bytearray(body)), ((3, 6, taint.labels_of(phone("advertising"))),))
    got = arrived(own, leaving(body, channel="http"), channel="http")
    assert [set(one.labels.purposes) for one in taint.ranges_of(got)] == [
        {"advertising"},
        {"security.mfa"},
        {"marketing"},
    ]


SECRETS = [SECRET, bytearray(SECRET), base64.b64encode(SECRET).decode(), base64.urlsafe_b64encode(SECRET).decode()]


@pytest.mark.parametrize("secret", SECRETS, ids=["bytes", "bytearray", "base64", "base64url"])
def test_key_forms(secret: Any) -> None:
    """A secret is bytes or base64 text."""
    assert EnvelopeKeys({"a": secret}).signing == ("a", SECRET)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"a": b"short"}, "'a' is too short"),
        ({"a": "c2hvcnQ="}, "'a' is too short"),
        ({"a": "*not base64*" * 9}, "'a'"),
        ({"a": 7}, "'a' is no bytes"),
        ({"a.b": SECRET}, "an id that is not usable"),
        ({"": SECRET}, "an id that is not usable"),
    ],
)
def test_bad_keys(keys: Any, said: str) -> None:
    """A key that is not usable is an error which says what one is, and never shows it."""
    with pytest.raises(taint.ConfigurationError, match=said) as caught:
        taint.configure(envelope_keys=keys)
    assert "short" not in str(caught.value).replace("too short", "")
    assert "c2hvcnQ" not in str(caught.value)


def test_keys_are_not_shown() -> None:
    """No secret in what keys look like."""
    assert repr(KEYS) == "EnvelopeKeys(['k1'])"


def test_keys_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TAINT_ENVELOPE_KEYS` has keys, the first of which signs; `configure` holds against it."""
    monkeypatch.setenv(
        "TAINT_ENVELOPE_KEYS", f"new:{base64.b64encode(b'n' * 32).decode()}, old:{base64.b64encode(SECRET).decode()}"
    )
    set_keys(None)
    assert (seal(phone()) or "").startswith("1.new.")
    taint.configure(envelope_keys={"mine": SECRET})
    assert (seal(phone()) or "").startswith("1.mine.")
    monkeypatch.setenv("TAINT_ENVELOPE_KEYS", "something")
    set_keys(None)
    with pytest.raises(taint.ConfigurationError, match="TAINT_ENVELOPE_KEYS"):
        seal(phone())


@pytest.mark.parametrize(
    ("host", "port", "is_own"),
    [
        ("ads.internal", 80, True),
        ("ADS.Internal.", 8080, True),
        ("internal", 80, False),
        ("ads.internal.example", 80, False),
        ("127.0.0.1", 4711, True),
        ("127.0.0.2", 4711, False),
        ("db.example", 5000, True),
        ("db.example", 5001, False),
        ("::1", 80, True),
        ("::2", 80, False),
        (None, None, False),
        ("", 80, False),
    ],
)
def test_own_hosts(host: str | None, port: int | None, is_own: bool) -> None:
    """Our own hosts are those that the policy names, with a port or at every port."""
    taint.configure(policy={"envelopes": {"hosts": ["*.internal", "127.0.0.1:*", "db.example:5000", "[::1]"]}})
    assert is_own_host(host, port) is is_own


def test_no_host_is_our_own_by_default() -> None:
    """Without the table nothing is sent to anybody."""
    taint.configure(policy={})
    assert not is_own_host("localhost", 80)


def test_unknown_key_of_the_table() -> None:
    """Keys do not stand in a policy file: such a setting is an error."""
    with pytest.raises(taint.ConfigurationError, match="unknown key 'keys'"):
        taint.configure(policy={"envelopes": {"keys": {"a": "b"}}})
