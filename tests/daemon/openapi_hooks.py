"""For check_openapi.py: schemathesis sends bodies of these types as they are."""

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/vnd.unroll.snapshot")
def raw(_context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
