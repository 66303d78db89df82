"""Prints the last stage of a Dockerfile as shell variables, for tests/packages/image.sh.

Supports only the forms that ours uses; any other is an error, so that no instruction stays untested.
"""

import json
import re
import shlex
import sys

text = open(sys.argv[1]).read()
lines = [line for line in text.splitlines() if not line.startswith("#")]
instructions = [line.strip() for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]
last = max(index for index, line in enumerate(instructions) if line.startswith("FROM "))

runs, variables, volumes, values = [], [], [], {}
for line in instructions[last + 1 :]:
    word, rest = line.split(None, 1)
    if word == "RUN":
        runs.append(rest)
    elif word == "ENV":
        variables += shlex.split(rest)
    elif word == "VOLUME":
        volumes += rest.split()
    elif word == "ENTRYPOINT":
        values["entrypoint"] = json.loads(rest)
    elif word == "HEALTHCHECK":
        values["healthcheck"] = json.loads(re.fullmatch(r"(?:--\S+\s+)*CMD (\[.*\])", rest)[1])
    elif word == "USER":
        values["user"] = rest.split(":")
    elif word == "STOPSIGNAL":
        values["stop_signal"] = [rest]
    elif not (word == "COPY" and rest == "--from=build /source/build/packages/*.deb /packages/"):
        sys.exit(f"{sys.argv[1]}: image.sh cannot carry out '{line}'")

for name, words in [("runs", runs), ("variables", variables), ("volumes", volumes), *values.items()]:
    print(f"{name}=({' '.join(map(shlex.quote, words))})")
