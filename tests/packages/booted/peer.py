"""One JSON-RPC connection: `call METHOD PARAMS` prints the answer; `hold TEXT` opens a stream, prints its id, and
ends it when standard input ends."""

import json
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.settimeout(60)
connection.connect("/run/unroll/unroll.sock")
lines = connection.makefile("r")


def call(number, method, params):
    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    connection.sendall(json.dumps(request).encode() + b"\n")
    for line in lines:
        message = json.loads(line)
        if "id" in message:
            return message
    sys.exit("the daemon closed the connection")


if sys.argv[1] == "call":
    print(json.dumps(call(1, sys.argv[2], json.loads(sys.argv[3]))))
else:
    opened = call(1, "document.open", {"plugins": [{"name": "score"}], "stream": True, "name": "a secret name"})
    document = opened["result"]["document"]
    call(2, "document.append", {"document": document, "text": sys.argv[2] * 2000})
    print(document, flush=True)
    sys.stdin.read()
    call(3, "document.end", {"document": document})
    for line in lines:
        if json.loads(line).get("method") in ("document.done", "document.failed"):
            sys.exit(0 if json.loads(line)["method"] == "document.done" else line)
