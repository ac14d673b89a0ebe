"""What Hypothesis loads when it is imported: which strategy draws the library's types.

Apart from the strategies themselves, which import Hypothesis: whoever imports them first would find
them half made when Hypothesis comes for them.
"""

from __future__ import annotations

from typing import Any

from taint.carriers import TaintedBytes, TaintedStr
from taint.labels import Label, Labels

__all__ = ["register"]

_STRATEGIES = {Label: "labels", Labels: "label_sets", TaintedStr: "labelled_text", TaintedBytes: "labelled_bytes"}


def _draw(kind: Any) -> Any:
    from taint.testing import strategies  # noqa: PLC0415  # See above.

    return getattr(strategies, _STRATEGIES[kind])()


def register() -> None:
    """Tell Hypothesis; it calls this when it is imported."""
    from hypothesis import strategies as st  # noqa: PLC0415  # See above.

    for kind in _STRATEGIES:
        st.register_type_strategy(kind, _draw)
