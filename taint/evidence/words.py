"""Words: how text is cut, the same way where a value is remembered and where a payload is scanned.

A word is a run of letters, digits, `@`, `.`, `_`, `+`, `-` and every non-ASCII letter; `/` separates,
but is kept in the first cut because base64 has it. Cutting is `bytes.translate` and `bytes.split`,
which run in C at several hundred MB/s where a loop in Python reaches five.
"""

from __future__ import annotations

import unicodedata

__all__ = ["COMMON_WORDS", "EDGES", "cut", "email_forms", "foldable", "folded", "words_of"]

_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789@._+-/") | frozenset(range(128, 256))

_LOWER = bytes(
    byte + 32 if 65 <= byte <= 90 else byte if byte in _WORD else 32  # noqa: PLR2004  # A-Z, and the blank.
    for byte in range(256)
)
_GMAIL = (b"gmail.com", b"googlemail.com")

COMMON_WORDS = frozenset(
    b"""account accounts active activated address admin administrator advertising america american android anonymous
    approved archive article august australia austria available balance belgium berlin billing blocked boolean brazil
    browser canada cancelled canceled category center central change changed chicago china chrome client comment
    company complete completed computer confirmed contact content control country created current customer customers
    database default deleted delivered delivery description desktop details device disabled display document download
    duplicate edition email emails empty enabled engine english error europe example expired failed failure feature
    february female finished firefox france friday function general germany german global google history holiday houston
    iphone inactive india information inserted integer internal internet invalid invoice island italy january japan july
    june language linux location locked london los machine madrid manager market marketing master medium member message
    microsoft missing mobile monday mother mozilla munich national network never normal north november number object
    october office online option orange order orders package paris partner password payment pending people person phone
    placeholder poland platform postal premium preview primary private problem process product products profile project
    promotion public purple quality quantity random received record refund refunded region registered rejected release
    removed report request required reserved response result return returned russia safari sample saturday school
    scheduled search second secondary secret security select september server service services session settings shipped
    shipping single source south spain spring standard started state states status stopped street string student subject
    submitted subscribed success successful summer sunday support suspended sweden switzerland system target temporary
    testing thursday ticket title tokyo tomorrow total training transfer tuesday turkey undefined united unknown unread
    unverified updated upload username utf-8 value values verified version vienna virtual visitor waiting warning
    website wednesday week weekend welcome william windows winter wireless without workflow yellow yesterday new old
    the and or of for to in on at by no not not_applicable n.a null none true false yes test user users name names
    city first last york""".split()
)
"""Words that are in every payload. A value made of nothing else is not remembered."""


EDGES = b".-+"
"""At an edge of a word these belong to the sentence."""


def cut(data: bytes) -> bytes:
    """Lower a text and put a blank for all that separates words; every byte keeps its place."""
    return data.translate(_LOWER)


def words_of(text: str) -> list[bytes]:
    """Cut one value, that is folded already, into words."""
    data = cut(text.encode() if text.isascii() else _blanked(text).encode(errors="surrogatepass"))
    if b"/" in data:
        data = data.replace(b"/", b" ")
    if data.isalnum():
        return [data]  # One word, without anything at its edges.
    words = [word.strip(EDGES) for word in data.split()]
    return words if all(words) else [word for word in words if word]


def _blanked(text: str) -> str:
    """Put a blank for every non-ASCII character that is no part of a word."""
    for character in set(text):
        if character > "\x7f" and not character.isalnum() and not unicodedata.combining(character):
            text = text.replace(character, " ")
    return text


def folded(text: str) -> str:
    """Bring a payload that is not ASCII into the form that values are remembered in."""
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return _blanked(text.casefold())


def foldable(text: str) -> list[int]:
    """Give for each character of `folded(text)` the place in `text` that it comes from.

    Slow, character by character: asked for only where something was found in text that folding changes.
    """
    places: list[int] = []
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not unicodedata.combining(text[at]):
            places += [start] * len(folded(text[start:at]))
            start = at
    return [*places, len(text)]


def email_forms(email: bytes) -> tuple[bytes, ...]:
    """Give an address without its plus-suffix, and for gmail without dots too; itself first.

    Args:
        email: Lower case.
    """
    if b"+" not in email and not email.endswith(_GMAIL):
        return (email,)  # The usual address, which has one form.
    name, at, domain = email.rpartition(b"@")
    if not at or not name:
        return (email,)
    forms = {email: None}
    plain = name.partition(b"+")[0] or name
    forms[plain + at + domain] = None
    if domain in _GMAIL:
        bare = plain.replace(b".", b"") or plain
        forms[name.replace(b".", b"") + at + domain] = None
        for one in _GMAIL:
            forms[bare + at + one] = None
    return tuple(forms)
