"""People fill in the service's forms: one real HTTP request for each form, several people at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx

from examples.tailored_audiences.people import Person

_AT_A_TIME = 8


def enrol_everybody(people: list[Person], service_url: str) -> list[int]:
    """Enrol people for two-factor authentication, and for marketing those who want to.

    Args:
        people: Who.
        service_url: The service's address.

    Returns:
        The account of each, in the same order.

    Raises:
        httpx.HTTPError: If the service does not take somebody.
    """
    with (
        httpx.Client(base_url=service_url, timeout=30) as service,
        ThreadPoolExecutor(_AT_A_TIME) as pool,
    ):
        return list(pool.map(lambda person: _enrol(service, person), people))


def _enrol(service: httpx.Client, person: Person) -> int:
    form = {"name": person.name, "phone": person.security_phone.typed}
    answer = service.post("/two-factor", json=form).raise_for_status()
    account_id = int(answer.json()["account_id"])
    if person.marketing_phone is not None or person.marketing_email is not None:
        phone = person.marketing_phone.typed if person.marketing_phone else None
        marketing = {"phone": phone, "email": person.marketing_email}
        service.post(f"/accounts/{account_id}/marketing", json=marketing).raise_for_status()
    return account_id
