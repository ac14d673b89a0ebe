"""Carriers beside the aspects of ddtrace's IAST, in one run: `python -m benchmarks.ddtrace_aspects`.

Needs `pip install ddtrace`, in an environment of its own. ddtrace rewrites the module of the operations as it does a
program's; the carriers need no rewriting for these.
"""

# ruff: noqa: B023  # Each call is made at once, in its own turn of the loop.

from __future__ import annotations

import importlib.util
import platform
import types
from typing import Any

from ddtrace.appsec._iast import _iast_request_context_base as request
from ddtrace.appsec._iast import enable_iast_propagation
from ddtrace.appsec._iast._ast import ast_patching
from ddtrace.appsec._iast._taint_tracking import OriginType
from ddtrace.appsec._iast._taint_tracking._taint_objects import taint_pyobject
from ddtrace.appsec._iast._taint_tracking._taint_objects_base import get_tainted_ranges

from benchmarks import shared_operations
from benchmarks.carriers import empty, labelled, nanoseconds
from taint import labels_of

VALUE = "+1 415 555 0100"


def rewritten() -> types.ModuleType:
    """Load the module of the operations as ddtrace's loader does."""
    enable_iast_propagation()
    spec = importlib.util.find_spec(shared_operations.__name__)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    path, tree = ast_patching.astpatch_module(module)
    assert tree is not None
    exec(compile(tree, path, "exec"), module.__dict__)  # noqa: S102  # As its loader does.
    return module


def kept(result: Any) -> bool:
    """Tell whether ddtrace still knows what an operation gave."""
    return any(get_tainted_ranges(item) for item in (result if isinstance(result, list) else [result]))


def main() -> None:
    """Measure both and write it as Markdown."""
    module = rewritten()
    request._iast_start_request()  # noqa: SLF001  # What its middleware calls.
    print(f"Run on Python {platform.python_version()}.\n")
    print(
        "| operation | native ns | carrier ns | aspect, labelled ns | aspect, plain ns | label kept: carrier, aspect |"
    )
    print("|---|---:|---:|---:|---:|---|")
    theirs = taint_pyobject(VALUE, source_name="phone", source_value=VALUE, source_origin=OriginType.PARAMETER)
    ours, quicker = labelled(VALUE), 0
    for native in shared_operations.OPERATIONS:
        call: Any = native
        aspect: Any = getattr(module, native.__name__)
        overhead, plain, carrier, marked, unmarked = nanoseconds(
            empty, lambda: call(VALUE), lambda: call(ours), lambda: aspect(theirs), lambda: aspect(VALUE)
        )
        quicker += carrier < marked
        keeps = f"{'yes' if labels_of(call(ours)) else 'no'}, {'yes' if kept(aspect(theirs)) else 'no'}"
        row = [f"{figure - overhead:.0f}" for figure in (plain, carrier, marked, unmarked)]
        print(f"| `{native.__name__}` | {' | '.join(row)} | {keeps} |")
    print(f"\nThe carrier is quicker on {quicker} of {len(shared_operations.OPERATIONS)} labelled operations.")
    request._iast_finish_request()  # noqa: SLF001  # As above.


if __name__ == "__main__":
    main()
