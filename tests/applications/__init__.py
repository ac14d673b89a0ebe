"""Test suites of other people's applications, run with everything in them labelled; `python -m tests.applications`."""
