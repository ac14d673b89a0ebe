"""A small blog in the shape that most Flask applications have: a factory, a database, accounts and posts.

One leak is in it, on purpose, and nobody sees it: the error is swallowed, as careless code does.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import taint

taint.install()  # Before the modules below take names from what it wraps.

from flask import Flask, g  # noqa: E402  # See above.

from taint.evidence.catalog import declare  # noqa: E402  # See above.

from . import accounts, posts  # noqa: E402  # See above.

__all__ = ["create_app"]

SCHEMA = """
create table person (id integer primary key, name text unique, phone text, password text);
create table post (id integer primary key, author integer references person, title text, body text);
"""

declare("person.phone", purpose="security.mfa", category="user.contact.phone_number")


def create_app(database: Path) -> Flask:
    """Make the application with a database of its own."""
    app = Flask("journal")
    app.config.update(SECRET_KEY="for tests", TESTING=True)

    @app.before_request
    def connect() -> None:
        is_new = not database.exists()
        g.db = sqlite3.connect(database)
        g.db.row_factory = sqlite3.Row
        if is_new:
            g.db.executescript(SCHEMA)

    @app.teardown_request
    def disconnect(_error: BaseException | None) -> None:
        g.db.close()

    app.register_blueprint(accounts.pages)
    app.register_blueprint(posts.pages)
    return app
