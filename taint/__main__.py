"""`python -m taint`."""

import sys

from taint.cli import main

if __name__ == "__main__":
    sys.exit(main())
