"""Purposes and categories: which keys there are, what stands above what, and what a wrong key is answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import taint
from taint.purposes import (
    TAXONOMIES,
    Purpose,
    ancestors,
    built_in,
    category_key,
    is_allowed,
    purpose_key,
)

OWN = built_in("taint")
FIDESLANG = built_in("fideslang")
DPV = built_in("dpv")


REQUIRED = [
    "security.mfa",
    "security.account_recovery",
    "advertising.audiences",
    "advertising.targeting",
    "advertising.measurement",
    "analytics",
    "service",
    "legal",
]


@pytest.mark.parametrize("key", REQUIRED)
def test_short_keys_are_built_in(key: str) -> None:
    """The short keys need no declaration, and each has a definition."""
    assert purpose_key(key) == key
    assert OWN.purposes[key].definition.endswith(".")


def test_every_purpose_has_its_parent() -> None:
    """A dotted key's parents are keys too, so that a policy can name any level."""
    for taxonomy in (OWN, FIDESLANG):
        for key in taxonomy.purposes:
            assert set(taxonomy.ancestors(key)) <= set(taxonomy.purposes), key


def test_mappings_name_existing_keys() -> None:
    """What a purpose is mapped to exists in the vendored tables of fideslang, DPV and the TCF."""
    tcf = {str(number) for number in range(1, 12)} | {"S1", "S2", "S3"}
    for taxonomy in map(built_in, TAXONOMIES):
        for purpose in taxonomy.purposes.values():
            assert set(purpose.fideslang) <= set(FIDESLANG.purposes), purpose
            assert set(purpose.dpv) <= set(DPV.purposes), purpose
            assert set(purpose.tcf) <= tcf, purpose
            assert set(purpose.parents) <= set(taxonomy.purposes), purpose
    assert {key for purpose in FIDESLANG.purposes.values() for key in purpose.tcf} == tcf


def test_mappings_of_the_incident() -> None:
    """The two purposes of the incident of 2019 have their counterparts."""
    assert OWN.purposes["security.mfa"].fideslang == ("essential.service.authentication",)
    assert OWN.purposes["security.mfa"].dpv == ("IdentityAuthentication",)
    audiences = OWN.purposes["advertising.audiences"]
    assert (audiences.fideslang, audiences.dpv, audiences.tcf) == (
        ("marketing.advertising.third_party.targeted",),
        ("TargetedAdvertising",),
        ("4",),
    )


def test_dpv_is_a_graph() -> None:
    """A DPV purpose has all of its parents' parents above it, nearest first."""
    assert DPV.ancestors("TargetedAdvertising") == (
        "TargetedAdvertising",
        "PersonalisedAdvertising",
        "Personalisation",
        "Advertising",
        "Marketing",
    )


@pytest.mark.parametrize(
    ("name", "collected_for", "used_for", "allowed"),
    [
        ("dpv", "Personalisation", "TargetedAdvertising", True),
        ("dpv", "Marketing", "TargetedAdvertising", True),
        ("dpv", "EnforceSecurity", "TargetedAdvertising", False),
        ("fideslang", "marketing", "marketing.advertising.profiling", True),
        ("fideslang", "essential.service.authentication", "marketing.advertising", False),
    ],
)
def test_other_taxonomies(name: str, collected_for: str, used_for: str, allowed: bool) -> None:
    """With another taxonomy its keys are those to use, and its ancestors count."""
    taint.configure(policy={"taxonomy": name})
    phone = taint.label("+14155550100", purpose=collected_for)
    assert taint.check(phone, purpose=used_for, sink="test").is_allowed is allowed
    with pytest.raises(taint.ConfigurationError, match=f"{name!r} taxonomy"):
        purpose_key("security.mfa")


def test_former_key_of_fideslang() -> None:
    """A key that fideslang has replaced means what replaced it."""
    taint.configure(policy={"taxonomy": "fideslang"})
    assert purpose_key("personalize.profiling") == "personalize.content.profiling"


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("securty.mfa", "security.mfa"),
        ("advertising.audience", "advertising.audiences"),
        ("Security.MFA", "security.mfa"),
        ("security.mfax", "security.mfa"),
        ("advertizing", "advertising"),
        ("mfa", "security.mfa"),
        ("ads.audiences", "advertising.audiences"),
    ],
)
def test_unknown_purpose_suggests_the_nearest(written: str, nearest: str) -> None:
    """A misspelt purpose is an error wherever one is named, and the error says which key is meant."""
    uses = (
        lambda: taint.label("x", purpose=written),
        lambda: taint.sink(purpose=written),
        lambda: taint.source(purpose=written),
        lambda: taint.zone(written),
        lambda: taint.check("x", purpose=written, sink="test"),
    )
    for use in uses:
        with pytest.raises(taint.ConfigurationError, match=f"'{written}'.*Did you mean '{nearest}'"):
            use()


def test_own_purpose_needs_a_declaration() -> None:
    """A purpose of one's own is an error that says where to declare it, and none once it is declared."""
    with pytest.raises(taint.ConfigurationError, match=r"Declare it in taint.toml: \[purposes\] 'shop.loyalty'"):
        purpose_key("shop.loyalty")
    own = {"definition": "Give points.", "parents": ["marketing"]}
    taint.configure(policy={"purposes": {"shop.loyalty": own}})
    assert purpose_key("shop.loyalty") == "shop.loyalty"
    assert is_allowed(frozenset({"marketing"}), "shop.loyalty")
    assert not is_allowed(frozenset({"shop.loyalty"}), "marketing")


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("user.contact.phone", r"user\.contact\.phone_number"),
        ("user.phone", r"user\.contact\.phone_number"),
        ("email", r"user\.contact\.email"),
    ],
)
def test_unknown_category_suggests_the_nearest(written: str, nearest: str) -> None:
    """A misspelt category, or one of which only the end was written, is an error that says which is meant."""
    with pytest.raises(taint.ConfigurationError, match=f"Did you mean '{nearest}'"):
        taint.label("x", purpose="security.mfa", category=written)


def test_categories_are_those_of_fideslang() -> None:
    """A key of fideslang passes as it is."""
    assert category_key("user.contact.phone_number") == "user.contact.phone_number"


@pytest.mark.parametrize(
    ("parents", "message"),
    [
        ({"a": ("b",), "b": ("a",)}, "'a' stands above itself"),
        ({"a": ("a",)}, "'a' stands above itself"),
        ({"a": ("b",), "b": ("c",), "c": ("a",)}, "stands above itself"),
        ({"a": ("a.b",), "a.b": ()}, "stands above itself"),
        ({"a": ("advertisng",)}, "unknown parent: 'advertisng'.*'advertising'"),
    ],
)
def test_circles_are_errors(parents: dict[str, tuple[str, ...]], message: str) -> None:
    """Purposes that stand above each other in a circle cannot be declared."""
    with pytest.raises(taint.ConfigurationError, match=message):
        OWN.extended([Purpose(key, parents=above) for key, above in parents.items()], {})


def test_prefix_is_by_words() -> None:
    """What is above a key are its words, not its letters, also for keys that nobody knows."""
    assert ancestors("security.mfax") == ("security.mfax", "security")
    assert ancestors("security.mfa.sms") == ("security.mfa.sms", "security.mfa", "security")


FIDESLANG_TABLE = """
import json
from fideslang.default_taxonomy import DEFAULT_TAXONOMY as table
uses = {use.fides_key: use.replaced_by for use in table.data_use}
print(json.dumps([uses, [category.fides_key for category in table.data_category]]))
"""


@pytest.mark.skipif("TAINT_FIDESLANG_PYTHON" not in os.environ, reason="TAINT_FIDESLANG_PYTHON names no interpreter")
def test_vendored_keys_are_those_of_fideslang() -> None:
    """The vendored table has fideslang's keys: it pins an old pydantic, and so is asked in its own environment."""
    command = [os.environ["TAINT_FIDESLANG_PYTHON"], "-c", FIDESLANG_TABLE]
    uses, categories = json.loads(subprocess.run(command, check=True, timeout=60, capture_output=True).stdout)
    assert {key for key, replaced in uses.items() if not replaced} == set(FIDESLANG.purposes)
    assert {key: replaced for key, replaced in uses.items() if replaced} == FIDESLANG.aliases
    assert set(categories) == set(FIDESLANG.categories)


def test_import_reads_no_table() -> None:
    """Importing the library reads none of the tables: they are read with the first key."""
    code = (
        "import taint; from taint.purposes import taxonomy as t;"
        "assert t._table.cache_info().currsize == 0; taint.zone('security'); assert t._table.cache_info().currsize == 2"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=taint.__path__[0] + "/..")
