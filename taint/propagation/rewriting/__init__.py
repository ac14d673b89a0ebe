"""Import rewriting: packages named to `install()` are made exact where C code does not ask a carrier.

`transformer` replaces expressions in a module's syntax tree as it is imported; `aspects` and `fstrings`
are what the replaced expressions call; `loader` compiles, with a cache of its own; `finder` decides
which modules, and says which ones were rewritten and which were left as they are.
"""

from taint.propagation.rewriting.finder import (
    RewritingStatus,
    remove_rewriting,
    rewrite_packages,
    rewriting_status,
)
from taint.propagation.rewriting.loader import script_code

__all__ = ["RewritingStatus", "remove_rewriting", "rewrite_packages", "rewriting_status", "script_code"]
