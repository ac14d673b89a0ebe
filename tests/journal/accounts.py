"""Accounts: a phone number is asked for to send codes to, and for nothing else."""

from __future__ import annotations

from flask import Blueprint, g, redirect, request, session
from werkzeug.security import check_password_hash, generate_password_hash
from werkzeug.wrappers import Response

import taint

__all__ = ["pages"]

pages = Blueprint("accounts", __name__, url_prefix="/accounts")
sent: list[str] = []
"""To whom codes were sent."""


@taint.source(purpose="security.mfa", category="user.contact.phone_number", name="accounts.enrolled_phone")
def enrolled_phone() -> str:
    """Read the number from the form."""
    return request.form["phone"]


@taint.sink(purpose="security.mfa", name="accounts.send_code")
def send_code(phone: str) -> None:
    """Send a code."""
    sent.append(taint.plain(phone))


@pages.before_app_request
def load_person() -> None:
    """Give every request who it is from."""
    g.person = g.db.execute(
        "select id, name, phone, password from person where id = ?", (session.get("person"),)
    ).fetchone()


@pages.post("/register")
def register() -> Response | tuple[str, int]:
    """Open an account."""
    if not request.form["name"]:
        return "A name is required.", 400
    password = generate_password_hash(request.form["password"])
    with g.db:
        g.db.execute(
            "insert into person (name, phone, password) values (?, ?, ?)",
            (request.form["name"], enrolled_phone(), password),
        )
    return redirect("/accounts/login")


@pages.post("/login")
def login() -> Response | tuple[str, int]:
    """Let somebody in, and send a code."""
    person = g.db.execute(
        "select id, name, phone, password from person where name = ?", (request.form["name"],)
    ).fetchone()
    if person is None or not check_password_hash(person["password"], request.form["password"]):
        return "Name or password is wrong.", 403
    send_code(person["phone"])
    session["person"] = person["id"]
    return redirect("/")
