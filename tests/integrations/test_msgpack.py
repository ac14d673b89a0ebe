"""msgpack: the labels' places in packed bytes, both ways, with the native bytes."""

import datetime as dt
import io
from typing import Any

import msgpack
import pytest

import taint
from taint.integrations.msgpack_tree import msgpack_tree
from tests.integrations.documents import LEAVES, leaves, marked, record, secret


@pytest.fixture(autouse=True)
def installed(nothing_installed: None) -> None:
    """Wrap msgpack."""
    taint.install(integrations=["msgpack"])


@pytest.mark.parametrize("options", [{}, {"strict_types": True}, {"use_bin_type": False}])
def test_round_trip(options: dict[str, Any]) -> None:
    """The bytes are those for plain values, and unpacking them labels the same leaves and no others."""
    packed = msgpack.packb(record(secret), **options)
    assert packed == msgpack.packb(record(str), **options)
    assert leaves(msgpack.unpackb(packed)) == LEAVES
    assert leaves(msgpack.loads(packed)) == LEAVES
    assert leaves(msgpack.Packer(**options).pack(record(str))) == {}


def test_ranges() -> None:
    """Exactly the bytes of the labelled texts and byte strings are labelled."""
    assert marked(msgpack.packb(["b", "tel:" + secret("é"), secret(b"\x00\xff")])) == ["é".encode(), b"\x00\xff"]


def test_bytes_and_keys() -> None:
    """Labelled byte strings, keys and numbers come back labelled, beside plain ones that do not."""
    packed = msgpack.packb({secret("+1"): secret(b"\xff"), "n": secret(300), "m": 300, "b": b"x", 5: "y"})
    assert leaves(msgpack.unpackb(packed, strict_map_key=False)) == {
        ".keys()": ["+1"],
        ".+1": [b"\xff"],
        ".n": [300],
    }


def test_default() -> None:
    """`default` sees the user's object, and the labels of what it gives stand where that stands."""
    one = object()
    seen: list[Any] = []

    def default(value: Any) -> Any:
        seen.append(value)
        return ["x", secret("made")]

    assert marked(msgpack.packb(["x", one], default=default)) == [b"made"]
    assert seen == [one]


def test_date() -> None:
    """A labelled date is packed as the plain one."""
    moment = dt.datetime(2020, 2, 29, tzinfo=dt.UTC)
    packed = msgpack.packb([secret(moment), moment], datetime=True)
    assert packed == msgpack.packb([moment, moment], datetime=True)
    assert set(leaves(msgpack.unpackb(packed, timestamp=3))) == {"[0]"}


def test_files() -> None:
    """A file that is labelled labels what is unpacked from it; packing into one writes labelled bytes."""
    written: list[bytes] = []

    class File(io.BytesIO):
        def write(self, data: Any) -> int:
            written.append(data)
            return super().write(data)

    msgpack.pack({"a": secret("x")}, File())
    assert marked(written[0]) == [b"x"]
    assert leaves(msgpack.unpack(secret(io.BytesIO(b"\x91\xa1x")))) == {"[0]": ["x"]}
    assert leaves(msgpack.unpack(io.BytesIO(b"\x91\xa1x"))) == {}


def test_unpacker() -> None:
    """An Unpacker labels what it gives from the first labelled bytes on."""
    unpacker = msgpack.Unpacker()
    unpacker.feed(msgpack.packb(["a"]))
    assert leaves(unpacker.unpack()) == {}
    unpacker.feed(msgpack.packb([secret("b")]))
    assert [leaves(value) for value in unpacker] == [{"[0]": ["b"]}]
    assert isinstance(unpacker, msgpack.Unpacker)


def test_packer_in_pieces() -> None:
    """A Packer that keeps its bytes labels all of them."""
    packer = msgpack.Packer(autoreset=False)
    assert packer.pack("a") is None
    assert marked(packer.bytes()) == []
    packer.pack(secret("b"))
    assert marked(packer.bytes()) == [b"\xa1a\xa1b"]


def test_whole() -> None:
    """Bytes that are labelled as a whole label all texts in them, but no names and no numbers."""
    packed = taint.plain(msgpack.packb({"a": ["x", 5], "+1": None}))
    assert leaves(msgpack.unpackb(secret(packed))) == {".keys()": ["+1"], ".a[0]": ["x"]}
    assert leaves(msgpack.unpackb(secret(bytearray(packed)))) == {".keys()": ["+1"], ".a[0]": ["x"]}
    assert leaves(msgpack.unpackb(packed)) == {}


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        *(0, 127, 128, 255, 256, 65535, 65536, 2**32, 2**63, -1, -32, -33, -129, -40000, -(2**40)),
        *(1.5, "", "a" * 31, "a" * 32, "é" * 200, "a" * 70000, b"", b"x" * 300, b"x" * 70000),
        *([], [1] * 15, [1] * 16, ["x"] * 70000, {}, {str(n): n for n in range(16)}, {n: n for n in range(70000)}),
        *(msgpack.ExtType(5, b"x" * size) for size in (1, 2, 3, 4, 8, 16, 17, 300, 70000)),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_tree_reads_every_form(value: Any) -> None:
    """The reader of positions ends every form of the format where it ends."""
    packed = msgpack.packb([value, "end"])
    tree = msgpack_tree(packed)
    assert tree.stop == len(packed)
    assert tree.items is not None
    assert (tree.items[0].text, tree.items[1].text) == (value if isinstance(value, str | bytes) else None, "end")


def test_same_exceptions() -> None:
    """What it refuses is refused with its own error."""
    with pytest.raises(TypeError, match="object"):
        msgpack.packb([secret("x"), object()])
    with pytest.raises(msgpack.ExtraData):
        msgpack.unpackb(secret(b"\x01\x02"))
