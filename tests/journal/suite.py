"""The application's own tests; they pass, with the leak in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from . import accounts, create_app

PERSON = {"name": "ada", "phone": "+14155550100", "password": "lovelace"}


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    """A browser at an empty application."""
    client: FlaskClient = create_app(tmp_path / "journal.db").test_client()
    return client


@pytest.fixture
def member(client: FlaskClient) -> FlaskClient:
    """A browser of somebody who is logged in."""
    client.post("/accounts/register", data=PERSON)
    client.post("/accounts/login", data=PERSON)
    return client


def test_register(client: FlaskClient) -> None:
    """An account can be opened."""
    assert client.post("/accounts/register", data=PERSON).headers["location"] == "/accounts/login"


def test_register_needs_a_name(client: FlaskClient) -> None:
    """It has to have a name."""
    assert client.post("/accounts/register", data={**PERSON, "name": ""}).status_code == 400


def test_login_sends_a_code(member: FlaskClient) -> None:
    """The number is used for what it was asked for."""
    assert accounts.sent[-1] == PERSON["phone"]


def test_wrong_password(client: FlaskClient) -> None:
    """Nobody else gets in."""
    assert client.post("/accounts/login", data={**PERSON, "password": "?"}).status_code == 403


def test_strangers_cannot_post(client: FlaskClient) -> None:
    """A post needs somebody who is logged in."""
    assert client.post("/create", data={"title": "Notes", "body": "G"}).status_code == 403


def test_create(member: FlaskClient) -> None:
    """A post is shown; that the author's number went to a mailing meanwhile, this test cannot see."""
    member.post("/create", data={"title": "Notes", "body": "G"})
    assert member.get("/").get_json() == [{"title": "Notes", "by": "ada"}]
