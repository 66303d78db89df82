#!/usr/bin/env python3
"""Has schemathesis send requests that fit, and do not fit, GET /openapi.json to a daemon with a TCP listener and a token.

    check_openapi.py UNROLLD MODEL SECONDS

Exits with 1 on a finding. Needs schemathesis beside the Python that runs this.
"""

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
PHASES = "coverage,fuzzing,stateful"


def listening(daemon, log):
    """The address, when there is one."""
    for _ in range(600):
        found = re.search(r"listening on (http://\S+)", log.read_text())
        if found:
            return found[1]
        if daemon.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"unrolld did not come up:\n{log.read_text()}")


def main():
    unrolld, model, seconds = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, tokens = folder / "log", folder / "tokens"
        token = secrets.token_hex(32)
        tokens.touch(0o600)
        tokens.write_text(f"check {token}\n")
        command = [unrolld, "--socket", folder / "s", "--journal", folder / "j", "--model", model, "--http", "0"]
        with log.open("w") as output:
            daemon = subprocess.Popen([*command, "--http-tokens", tokens], stdout=output, stderr=output)
        try:
            url, header = listening(daemon, log), f"Bearer {token}"
            asked = urllib.request.Request(f"{url}/openapi.json", headers={"Authorization": header})
            (folder / "openapi.json").write_bytes(urllib.request.urlopen(asked).read())
            program = Path(sys.executable).parent / "st"
            options = ["-u", url, "-H", f"Authorization: {header}", "--max-time", seconds, "--phases", PHASES]
            found = subprocess.run(
                [program, "--config-file", HERE / "schemathesis.toml", "run", folder / "openapi.json", *options]
                + ["--continue-on-failure", "--no-color"],
                cwd=folder,
                env={**os.environ, "SCHEMATHESIS_HOOKS": "openapi_hooks", "PYTHONPATH": str(HERE)},
            ).returncode
            alive = daemon.poll() is None
        finally:
            daemon.terminate()
            code = daemon.wait()
        if not alive or code != 0:
            sys.exit(f"unrolld ended with {code}:\n{log.read_text()}")
        sys.exit(found)


if __name__ == "__main__":
    main()
