"""Posts, and the mailing that somebody added later."""

from __future__ import annotations

import contextlib

from flask import Blueprint, g, redirect, request
from werkzeug.wrappers import Response

import taint

__all__ = ["pages"]

pages = Blueprint("posts", __name__)


@taint.sink(purpose="advertising.audiences", name="posts.recommend")
def recommend(to: str, topic: str) -> None:
    """Add somebody to the audience of a topic."""


@pages.get("/")
def index() -> list[dict[str, str]]:
    """Show all posts."""
    rows = g.db.execute("select title, name from post join person on author = person.id").fetchall()
    return [{"title": row["title"], "by": row["name"]} for row in rows]


@pages.post("/create")
def create() -> Response | tuple[str, int]:
    """Add a post of who is logged in."""
    if g.person is None:
        return "Log in first.", 403
    with g.db:
        g.db.execute(
            "insert into post (author, title, body) values (?, ?, ?)",
            (g.person["id"], request.form["title"], request.form["body"]),
        )
    with contextlib.suppress(Exception):  # Nobody shall fail to post because of a mailing.
        recommend(g.person["phone"], request.form["title"])
    return redirect("/")
