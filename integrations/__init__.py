"""Integrations with other libraries, one file each, imported as ``taint.integrations.<name>``.

The folder stands at the top of the repository and installs below ``taint``; import it under that name only, since a
second import name makes second classes.
"""
