"""The one error of this example: input that a person can put right."""

from __future__ import annotations

import sys
from collections.abc import Callable

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class BadInputError(Exception):
    """Say what is wrong with what the user gave, and what to do next."""


def run_main(main: Callable[[], int]) -> None:
    """Run a program's ``main`` and leave the process with its exit code.

    Args:
        main: Returns the exit code.

    Raises:
        SystemExit: Always; with code 2, after one line on stderr, if the input was bad; with code 130, as shells
            have it, if the user stopped it.
    """
    try:
        code = main()
    except BadInputError as error:
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_BAD_INPUT
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    raise SystemExit(code)
