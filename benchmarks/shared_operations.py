"""What both libraries are timed on: one function an operation, so that either may rewrite this module."""

# ruff: noqa: D103, UP031  # A function is its name; the forms are what is measured.

from __future__ import annotations


def add(x: str) -> str:
    return x + ";ext=1"


def add_left(x: str) -> str:
    return "tel:" + x


def slice_(x: str) -> str:
    return x[2:5]


def index(x: str) -> str:
    return x[0]


def upper(x: str) -> str:
    return x.upper()


def lower(x: str) -> str:
    return x.lower()


def title(x: str) -> str:
    return x.title()


def strip(x: str) -> str:
    return x.strip()


def lstrip(x: str) -> str:
    return x.lstrip("+")


def split(x: str) -> list[str]:
    return x.split(" ")


def splitlines(x: str) -> list[str]:
    return x.splitlines()


def replace(x: str) -> str:
    return x.replace(" ", "-")


def ljust(x: str) -> str:
    return x.ljust(20)


def zfill(x: str) -> str:
    return x.zfill(20)


def encode(x: str) -> bytes:
    return x.encode()


def percent(x: str) -> str:
    return "tel: %s" % x


def f_string(x: str) -> str:
    return f"{x}"


def as_str(x: str) -> str:
    return str(x)


def as_repr(x: str) -> str:
    return repr(x)


def translate(x: str) -> str:
    return x.translate({43: None, 32: 45})


OPERATIONS = (
    *(add, add_left, slice_, index, upper, lower, title, strip, lstrip, split, splitlines),
    *(replace, ljust, zfill, encode, percent, f_string, as_str, as_repr, translate),
)
