"""PyYAML: labelled values are written like plain ones, and a document keeps which part of it is labelled.

Source: none. Sink: none.

Covered: the `safe_` functions and dumpers, which refuse every subclass of `str`, and the others, which
would write a `python/object` tag, write what they write for plain values. `dump`, `dump_all`,
`safe_dump`, `safe_dump_all` label the document where the labelled values stand; `load`, `load_all` and
their kin label the leaves that the document's labels cover, and no others. Values that are written
folded or with escapes are covered as a whole, and so is what a custom representer or tag makes.

Not covered: names imported before `install()`; a generator of documents that is dumped to a stream is
written as it comes, without labels; `emit` and `serialize`; a labelled document is written to a stream
in one piece.

    import taint
    taint.install(integrations=["yaml"])
    import yaml
    phone = taint.label("+14155550100", purpose="security.mfa")
    document = yaml.safe_dump({"id": 7, "phone": phone})
    taint.labels_of(yaml.safe_load(document)["phone"])      # Labels of the phone; "id" has none
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from taint.carriers.coverage import Coverage
from taint.carriers.operations import coverage_of
from taint.carriers.proxy import TaintedProxy, bare, is_carrier, labels_of_carrier
from taint.integrations.base import Integration
from taint.propagation.pairing import Node, detached, label_loaded, labelled_document
from taint.propagation.patches import Patch

__all__ = ["YamlIntegration"]


class YamlIntegration(Integration):
    """Keeps labels through PyYAML's dumping and loading."""

    identifier = "yaml"
    requires = ("PyYAML>=6.0",)

    def _install(self) -> None:
        import yaml

        # All functions of the module go through these three, and every dumper through represent_data, since
        # PyYAML 3. A representer registered for the carriers would change the tables of every dumper class.
        self._wrap(
            (
                Patch(yaml.representer.BaseRepresenter, "represent_data", _represent_data),
                Patch(yaml, "dump_all", _dump_all),
                Patch(yaml, "load", _load),
                Patch(yaml, "load_all", _load_all),
            )
        )


def _represent_data(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return wrapped(*map(bare, args), **kwargs)


def _dump_all(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args or not isinstance(args[0], list | tuple):
        return wrapped(*args, **kwargs)
    documents, *rest = args
    made = detached(documents)
    made.look_into_objects()  # Which a representer does.
    if not made.labels:
        return wrapped(*args, **kwargs)
    stream = rest[0] if rest else kwargs.get("stream")
    kwargs = {name: value for name, value in kwargs.items() if name != "stream"}
    if hasattr(stream, "encoding"):  # As the emitter has it: a stream with an encoding is given text.
        kwargs["encoding"] = None
    document = labelled_document(wrapped(documents, None, *rest[1:], **kwargs), made, _stream_tree)
    if stream is None:
        return document
    stream.write(document)
    if hasattr(stream, "flush"):
        stream.flush()
    return None


def _document(stream: Any) -> tuple[Any, Coverage | None]:
    """Give what is to be loaded, plain, and its coverage."""
    if type(stream) is TaintedProxy and hasattr(stream, "read"):
        stream = stream.read()
    if not is_carrier(stream):
        return stream, None
    if isinstance(stream, bytes):
        try:
            stream = stream.decode()
        except UnicodeDecodeError:
            return bare(stream), labels_of_carrier(stream)
    return bare(stream), coverage_of(stream) if isinstance(stream, str) else labels_of_carrier(stream)


def _load(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args:
        return wrapped(*args, **kwargs)
    document, coverage = _document(args[0])
    return label_loaded(wrapped(document, *args[1:], **kwargs), coverage, lambda: _first(_trees(document)))


def _load_all(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not args:
        return wrapped(*args, **kwargs)
    document, coverage = _document(args[0])
    values = wrapped(document, *args[1:], **kwargs)
    return values if coverage is None else _labelled_all(values, document, coverage)


def _labelled_all(values: Iterator[Any], document: str, coverage: Coverage) -> Iterator[Any]:
    trees = _trees(document)
    for value in values:
        yield label_loaded(value, coverage, lambda: _first(trees))


def _first(trees: Iterator[Node]) -> Node:
    return next(trees)


def _stream_tree(document: str | bytes) -> Node:
    return Node(0, len(document), items=tuple(_trees(document if isinstance(document, str) else document.decode())))


def _trees(document: str) -> Iterator[Node]:
    """Read the documents of a stream, with positions in characters, which both of PyYAML's parsers give."""
    import yaml

    for root in yaml.compose_all(document, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        yield _node(document, root, {})


def _node(document: str, node: Any, seen: dict[int, Node]) -> Node:
    """Give the tree of one node; an anchor's every use is the one place where it is written."""
    import yaml

    if id(node) in seen:
        return seen[id(node)]
    start, stop = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.MappingNode):
        members: list[tuple[Node, Node]] = []
        for key, item in node.value:
            found = _node(document, item, seen)
            if key.tag == "tag:yaml.org,2002:merge":  # `<<`: what is merged in gives way to what is written here.
                merged = (found,) if found.items is None else found.items
                members[:0] = [pair for one in reversed(merged) for pair in one.members or ()]
            else:
                members.append((_node(document, key, seen), found))
        parts = [part for pair in members for part in pair]
        made = Node(*_extent(start, stop, parts), members=tuple(members))
    elif isinstance(node, yaml.SequenceNode):
        items = tuple(_node(document, item, seen) for item in node.value)
        made = Node(*_extent(start, stop, items), items=items)
    elif node.tag == "tag:yaml.org,2002:str":
        quote = 1 if node.style in ("'", '"') else 0
        is_exact = document[start + quote : stop - quote] == node.value
        made = Node(start, stop, node.value, range(start + quote, stop - quote + 1) if is_exact else None)
    else:
        made = Node(start, stop)
    seen[id(node)] = made
    return made


def _extent(start: int, stop: int, parts: Iterable[Node]) -> tuple[int, int]:
    """Take in what stands elsewhere, because it is an anchor's other use."""
    return min((start, *(part.start for part in parts))), max((stop, *(part.stop for part in parts)))
