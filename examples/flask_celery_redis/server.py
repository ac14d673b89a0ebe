"""The process that serves the shop: prints its address, and ends when standard input does."""

from __future__ import annotations

import logging
import sys
import threading

from werkzeug.serving import make_server

from examples.flask_celery_redis.shop import web


def main() -> None:
    """Serve until standard input ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, web, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
