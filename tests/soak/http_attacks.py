"""Requests in which two servers could see different ends: name, bytes, whether the daemon must refuse it with 400.

Requests that must be refused get at most one response, the others one for each complete request.
"""

from __future__ import annotations

_SECOND = b"GET /healthz HTTP/1.1\r\nHost: soak\r\n\r\n"
_PUT = b"PUT /v1/score HTTP/1.1\r\nHost: soak\r\n"
_CHUNKED = _PUT + b"Transfer-Encoding: chunked\r\n"
_CHUNK = b"6\r\nMARKER\r\n0\r\n\r\n"

SMUGGLED: list[tuple[str, bytes, bool]] = [
    ("length and chunks", _PUT + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNK + _SECOND, True),
    ("chunks and length", _CHUNKED + b"Content-Length: 6\r\n\r\n" + _CHUNK + _SECOND, True),
    ("two lengths", _PUT + b"Content-Length: 6\r\nContent-Length: 60\r\n\r\nMARKER" + _SECOND, True),
    ("a list of lengths", _PUT + b"Content-Length: 6, 60\r\n\r\nMARKER" + _SECOND, True),
    ("a signed length", _PUT + b"Content-Length: +6\r\n\r\nMARKER" + _SECOND, True),
    ("a negative length", _PUT + b"Content-Length: -6\r\n\r\nMARKER" + _SECOND, True),
    ("a length in hexadecimal", _PUT + b"Content-Length: 0x6\r\n\r\nMARKER" + _SECOND, True),
    ("a length beyond all", _PUT + b"Content-Length: 99999999999999999999999\r\n\r\nMARKER" + _SECOND, True),
    ("a space before the colon", _PUT + b"Content-Length : 6\r\n\r\nMARKER" + _SECOND, True),
    ("bare line feeds", b"PUT /v1/score HTTP/1.1\nContent-Length: 6\n\nMARKER" + _SECOND, True),
    ("a bare carriage return", _PUT + b"X: a\rContent-Length: 6\r\n\r\nMARKER" + _SECOND, True),
    ("a folded header", _PUT + b"X: a\r\n Content-Length: 6\r\n\r\nMARKER" + _SECOND, False),
    ("a NUL in a header", _PUT + b"X: \0\r\nContent-Length: 6\r\n\r\nMARKER" + _SECOND, True),
    ("chunked, twice", _CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + _CHUNK + _SECOND, False),
    ("chunked, not last", _PUT + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + _CHUNK + _SECOND, True),
    ("an unknown encoding", _PUT + b"Transfer-Encoding: xchunked\r\n\r\n" + _CHUNK + _SECOND, True),
    ("a chunk of a signed size", _CHUNKED + b"\r\n+6\r\nMARKER\r\n0\r\n\r\n" + _SECOND, True),
    ("a chunk of a negative size", _CHUNKED + b"\r\n-1\r\nMARKER\r\n0\r\n\r\n" + _SECOND, True),
    ("a chunk beyond all", _CHUNKED + b"\r\nfffffffffffffffff\r\nMARKER" + _SECOND, True),
    ("a chunk in 0x", _CHUNKED + b"\r\n0x6\r\nMARKER\r\n0\r\n\r\n" + _SECOND, True),
    ("a chunk that goes on", _CHUNKED + b"\r\n3\r\nMARKER\r\n0\r\n\r\n" + _SECOND, True),
    ("chunks with line feeds", _CHUNKED + b"\r\n6\nMARKER\n0\n\n" + _SECOND, True),
    ("a chunk's extension", _CHUNKED + b"\r\n6;MARKER=\"x\"\r\nMARKER\r\n0\r\n\r\n" + _SECOND, False),
    ("a trailer", _CHUNKED + b"\r\n0\r\nContent-Length: 6\r\n\r\n" + _SECOND, False),
    ("two requests", _SECOND + _SECOND, False),
    ("a body of GET", b"GET /healthz HTTP/1.1\r\nContent-Length: 40\r\n\r\n" + _SECOND, False),
    ("a body that ends early", _PUT + b"Content-Length: 1000\r\n\r\nMARKER", False),
    ("HTTP/1.0 in chunks", b"PUT /v1/score HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNK + _SECOND, False),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nMARKER", True),
    ("no path", b"GET  HTTP/1.1\r\n\r\n" + _SECOND, True),
    ("a path that is none", b"GET /v1/%00MARKER%2e%2e/..%ff HTTP/1.1\r\n\r\n" + _SECOND, False),
    ("upgrade", b"GET /healthz HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n" + _SECOND, False),
]
