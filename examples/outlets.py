"""Data leaves: a policy names outlets that are no functions of the program, and each is held to its purpose.

Run it as `python -m examples.outlets`; it needs httpx, and starts a server of its own on loopback.
"""

from __future__ import annotations

import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

import taint


class Platform(BaseHTTPRequestHandler):
    """Takes audiences, and says what it got."""

    def do_POST(self) -> None:
        """Take one."""
        print("the ad platform got:", self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing more."""


def main() -> None:
    """Send a number that was given for security, and one that was given for advertising, out by three ways."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Platform)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with TemporaryDirectory() as folder:
        sinks = {
            "ads.api": {"purpose": "advertising.audiences", "at": {"http": [f"{url}/*"]}},
            "ads.export": {"purpose": "advertising.audiences", "mode": "redact", "at": {"file": [f"{folder}/*.csv"]}},
            "app.log": {"purpose": "service.operations", "mode": "redact", "at": {"logger": ["shop.*"]}},
        }
        taint.configure(policy={"sinks": sinks}, mode="block")
        taint.install(integrations=["httpx", "logging", "files"])
        security = taint.label("+14155550100", purpose="security.mfa", source="shop.enrol_2fa")
        marketing = taint.label("+14155550101", purpose="advertising", source="shop.newsletter")

        httpx.post(f"{url}/v1", json={"rows": [{"phone": marketing}]})
        try:
            httpx.post(f"{url}/v1", json={"rows": [{"phone": marketing}, {"phone": security}]})
        except taint.PurposeViolationError as error:
            print("not sent:", error.violation.sink, error.violation.path)

        path = Path(folder) / "audience.csv"
        path.write_text("17," + security + "\n18," + marketing + "\n", encoding="utf-8")
        print("the file holds:", path.read_text(encoding="utf-8").split())

        logging.basicConfig(stream=sys.stdout, format="the log says: %(message)s", level=logging.WARNING)
        logging.getLogger("shop.sms").warning("code sent to %s", security)
        taint.uninstall()
    server.shutdown()


if __name__ == "__main__":
    main()
