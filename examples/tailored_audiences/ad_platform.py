"""A stand-in for an ad platform: takes the users of an audience, and remembers all that it was sent."""

from __future__ import annotations

import argparse

from fastapi import FastAPI, Request
from pydantic import BaseModel

from examples.tailored_audiences.errors import run_main
from examples.tailored_audiences.servers import add_server_arguments, serve


class AudienceUsers(BaseModel):
    """Users to add to an audience."""

    user_ids: list[int]


class Accepted(BaseModel):
    """The answer: how many users were taken into which audience."""

    audience: str
    users: int


class Received(BaseModel):
    """One request, exactly as it came."""

    path: str
    body: str


def create_app() -> FastAPI:
    """Build the platform, which has received nothing yet."""
    app = FastAPI(title="ad platform")
    received: list[Received] = []

    @app.post("/audiences/{audience}/users")
    async def post_users(audience: str, users: AudienceUsers, request: Request) -> Accepted:
        body = await request.body()
        received.append(Received(path=request.url.path, body=body.decode()))
        return Accepted(audience=audience, users=len(users.user_ids))

    @app.get("/received")
    async def get_received() -> list[Received]:
        return received

    return app


def main() -> int:
    """Run the platform from the command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.tailored_audiences.ad_platform", description=__doc__)
    add_server_arguments(parser)
    options = parser.parse_args()
    serve(create_app(), options.port, stop_at_end_of_input=options.stop_at_end_of_input)
    return 0


if __name__ == "__main__":
    run_main(main)
