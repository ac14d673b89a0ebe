"""The service through which people give their contact details: a FastAPI application over a database.

Each of the two ways in is a source: what it collects is labelled with what it is collected for.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated

import phonenumbers
from fastapi import FastAPI, HTTPException
from opentelemetry import trace
from pydantic import AfterValidator, BaseModel
from sqlalchemy import Engine
from sqlalchemy.orm import Session

import taint
from examples.tailored_audiences.errors import run_main
from examples.tailored_audiences.servers import add_server_arguments, serve
from examples.tailored_audiences.store import EMAIL, PHONE, Account, Contact, create_database
from examples.tailored_audiences.telemetry import tracing


def _check_phone(phone: str) -> str:
    try:
        possible = phonenumbers.is_possible_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        possible = False
    if not possible:
        raise ValueError("give a telephone number with its country code, such as +49 30 ...")
    return phone


PhoneNumber = Annotated[str, AfterValidator(_check_phone)]


class TwoFactorForm(BaseModel):
    """What somebody fills in to protect their account."""

    name: str
    phone: PhoneNumber


class MarketingForm(BaseModel):
    """What somebody fills in who wants to get offers."""

    phone: PhoneNumber | None = None
    email: str | None = None


class Enrolled(BaseModel):
    """The answer to a form."""

    account_id: int


@taint.source(purpose="security.mfa", category=PHONE, arguments=["phone"])
def enrol_two_factor(session: Session, name: str, phone: str) -> Account:
    """Open an account that is protected by a telephone number.

    Labels: the number is labelled for ``security.mfa``.
    """
    account = Account(name=name)
    session.add(account)
    session.flush()
    session.add(Contact(account_id=account.id, category=PHONE, value=phone))
    return account


@taint.source(purpose="advertising", category="user.contact", arguments=["phone", "email"])
def allow_marketing(session: Session, account: Account, phone: str | None, email: str | None) -> None:
    """Add what somebody gives in order to get offers.

    Labels: the number and the address are labelled for ``advertising``.
    """
    for category, value in ((PHONE, phone), (EMAIL, email)):
        if value is not None:
            session.add(Contact(account_id=account.id, category=category, value=value))


def create_app(engine: Engine, tracer_provider: trace.TracerProvider) -> FastAPI:
    """Build the application.

    Args:
        engine: The database that it writes.
        tracer_provider: Where the spans of its requests go.

    Returns:
        The application, each of whose requests is a span.
    """
    # Without spans for its inner steps, so that the current span in a form's function is the request.
    app = FastAPI(title="accounts", telemetry={"tracer_provider": tracer_provider, "operation_spans": False})

    # Coroutines, although SQLite blocks: it has one writer at a time, and a write is shorter than a change of threads.

    @app.post("/two-factor", status_code=201)
    async def post_two_factor(form: TwoFactorForm) -> Enrolled:
        with Session(engine) as session, session.begin():
            account = enrol_two_factor(session, form.name, form.phone)
            return Enrolled(account_id=account.id)

    @app.post("/accounts/{account_id}/marketing", status_code=201)
    async def post_marketing(account_id: int, form: MarketingForm) -> Enrolled:
        with Session(engine) as session, session.begin():
            account = session.get(Account, account_id)
            if account is None:
                raise HTTPException(404, "there is no such account")
            allow_marketing(session, account, form.phone, form.email)
            return Enrolled(account_id=account.id)

    return app


def main() -> int:
    """Run the service from the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.tailored_audiences.service", description=__doc__)
    parser.add_argument("--database", required=True, help="SQLite file, made if it is missing, or a database's URL")
    parser.add_argument("--spans", type=Path, required=True, help="file to append spans to, one JSON object a line")
    add_server_arguments(parser)
    options = parser.parse_args()
    taint.install()
    with tracing("accounts-service", options.spans) as tracer_provider, create_database(options.database) as engine:
        app = create_app(engine, tracer_provider)
        serve(app, options.port, stop_at_end_of_input=options.stop_at_end_of_input)
    return 0


if __name__ == "__main__":
    run_main(main)
