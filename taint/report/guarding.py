"""What a command does when it cannot say anything: a message on standard error, and a status of its own."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from taint.errors import ConfigurationError

__all__ = ["BAD_INPUT", "guarded"]

BAD_INPUT = 2
"""Exit status: what the command was given cannot be read, or says something that cannot be meant."""
ENDED_BY_READER = 141
"""As shells have it: 128, and the number of SIGPIPE."""


def guarded(command: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command that reads files and prints.

    Args:
        command: Gives an exit status.
        options: For it.

    Returns:
        That status, or one of those above.
    """
    try:
        status = command(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads this has seen enough, as `head` has. What is still in the buffer would be an error at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ENDED_BY_READER
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return BAD_INPUT
    except OSError as error:
        sys.stderr.write(f"{error.filename!r} cannot be read: {error.strerror}. Check its path and its permissions.\n")
        return BAD_INPUT
    return status
