#!/usr/bin/env python3
"""A webhook that fails half its calls: every fourth by hanging up, every fourth with status 500.

    webhook_server.py PORT_FILE CALLS_FILE

Writes its port, then one JSON object for each call: path, key, status, body. /refuse always answers with 400.
"""

import http.server
import json
import os
import sys

calls = 0


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        global calls
        calls += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = {1: 500, 3: 0}.get(calls % 4, 204)
        if self.path == "/refuse":
            status = 400
        call = {"path": self.path, "key": self.headers["Idempotency-Key"], "status": status, "body": json.loads(body)}
        with open(sys.argv[2], "a", encoding="utf-8") as out:
            out.write(json.dumps(call) + "\n")
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1] + ".new", "w", encoding="utf-8") as out:
    out.write(str(server.server_port))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
