"""An instance's state as bytes: an envelope with a checksum around what save() gave, or around the `state` dict.

    bytes 0..3   "UPYS"
    byte  4      version of this format: 1
    byte  5      0 the dict, 1 the plugin's own save()
    bytes 6..7   0
    bytes 8..11  CRC-32 of the rest
    the rest     the plugin's own bytes; of a dict: uint32 length of the JSON, the JSON, the arrays' bytes

Nothing here runs what the bytes say, as pickle would: damaged bytes are a StateError."""

from __future__ import annotations

import collections
import json
import mmap
import struct
import zlib
from typing import Any, Literal

import numpy as np

from .errors import StateError
from .plugin import Plugin

_ENVELOPE = struct.Struct("<4sBBHI")
_LENGTH = struct.Struct("<I")
_TAG, _FORMAT, _DICT, _OWN = b"UPYS", 1, 0, 1
MOST_BYTES = 64 << 20
_ARRAYS = "biufc"  # kinds of arrays that are kept: no objects


def saves(plugin: type[Plugin]) -> bool:
    return hasattr(plugin, "state") or hasattr(plugin, "save")


def forks(plugin: type[Plugin]) -> bool:
    return hasattr(plugin, "fork") or not saves(plugin)


def save(instance: Plugin) -> bytes:
    """Empty if the class keeps nothing. Raises TypeError for types that cannot be kept, ValueError for too much
    data."""
    if not saves(type(instance)):
        return b""
    own = hasattr(instance, "save")
    payload = _own_bytes(instance) if own else _Writer().write(instance)
    if len(payload) + _ENVELOPE.size > MOST_BYTES:
        raise ValueError(f"a state of {len(payload)} bytes; {MOST_BYTES} are allowed")
    return _ENVELOPE.pack(_TAG, _FORMAT, _OWN if own else _DICT, 0, zlib.crc32(payload)) + payload


def load(instance: Plugin, data: bytes) -> None:
    """Raises StateError."""
    who = type(instance).name
    if not saves(type(instance)):
        if data:
            raise StateError(f"a state for {who}, which keeps none")
        return
    own = hasattr(instance, "save")
    if len(data) < _ENVELOPE.size:
        raise StateError(f"not a state of {who}: it is cut off")
    tag, version, kind, zero, checksum = _ENVELOPE.unpack_from(data)
    payload = data[_ENVELOPE.size :]
    if (tag, version, kind, zero) != (_TAG, _FORMAT, _OWN if own else _DICT, 0):
        raise StateError(f"not a state of {who}")
    if zlib.crc32(payload) != checksum:
        raise StateError(f"a damaged state of {who}: its checksum is wrong")
    if own:
        instance.load(payload)  # type: ignore[attr-defined]
        return
    try:
        about, kept = _Reader(payload).read()
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        RecursionError,
        struct.error,
    ) as error:
        raise StateError(f"a damaged state of {who}") from error
    if about != _about(instance) or not isinstance(kept, dict):
        raise StateError(f"a state of {str(about)[:80]}; this is {_about(instance)}")
    # In place, so that references to self.state from __init__ stay valid.
    instance.state.clear()
    instance.state.update(kept)


def _about(instance: Plugin) -> str:
    return f"{type(instance).name} {type(instance).version}"


def _own_bytes(instance: Plugin) -> bytes:
    payload = instance.save()  # type: ignore[attr-defined]
    if not isinstance(payload, (bytes, bytearray)):
        raise TypeError(f"save() gave {type(payload).__name__}; it must be bytes")
    return bytes(payload)


class _Writer:
    """Types that JSON lacks become {"!type": ...}. Accepts only types that load as the same type."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._seen: dict[int, str] = {}

    def write(self, instance: Plugin) -> bytes:
        if type(instance.state) is not dict:
            raise TypeError(f"self.state is {type(instance.state).__name__}; it must stay a dict")
        tree = [_about(instance), self._tree(instance.state, "self.state")]
        text = json.dumps(tree, separators=(",", ":")).encode()
        return _LENGTH.pack(len(text)) + text + self._data

    def _tree(self, value: Any, path: str) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, float, str):
            return value
        if kind is bytes or kind is bytearray:
            return {"!" + kind.__name__: self._append(value)}
        if isinstance(value, np.generic) and value.dtype.kind in _ARRAYS:
            return {"!scalar": [value.dtype.str, *self._append(value.tobytes())]}
        if kind is tuple:
            return {"!tuple": self._list(value, path)}
        self._once(value, path)
        if kind is list:
            return self._list(value, path)
        if kind is collections.deque:
            return {"!deque": [value.maxlen, self._list(value, path)]}
        if kind is dict:
            return self._dict(value, path)
        if kind is np.ndarray and value.dtype.kind in _ARRAYS:
            return self._array(value, path)
        raise TypeError(
            f"{path} is of type {kind.__module__}.{kind.__qualname__}, which a state cannot hold: it takes None, "
            "numbers, texts, bytes, lists, tuples, dicts, deques, and NumPy arrays of numbers"
        )

    def _list(self, values: Any, path: str) -> list[Any]:
        return [self._tree(value, f"{path}[{i}]") for i, value in enumerate(values)]

    def _dict(self, values: dict[Any, Any], path: str) -> Any:
        if all(type(key) is str and not key.startswith("!") for key in values):
            return {key: self._tree(value, f"{path}[{key!r}]") for key, value in values.items()}
        pairs = [
            [self._tree(key, f"a key of {path}"), self._tree(value, f"{path}[...]")] for key, value in values.items()
        ]
        return {"!dict": pairs}

    def _array(self, value: np.ndarray, path: str) -> Any:
        if _is_view_of_block(value):
            raise TypeError(f"{path} is a view into the block, whose memory is used again: keep {path}.copy()")
        # Sums may round differently in the other order.
        order: Literal["C", "F"] = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        return {"!array": [value.dtype.str, list(value.shape), order, *self._append(value.tobytes(order))]}

    def _append(self, data: Any) -> list[int]:
        self._data += data
        return [len(self._data) - len(data), len(data)]

    def _once(self, value: Any, path: str) -> None:
        """Two references to one list would be loaded as two lists."""
        first = self._seen.setdefault(id(value), path)
        if first != path:
            raise TypeError(f"{path} is the same object as {first}, and would not be once the state is loaded: copy it")


class _Reader:
    def __init__(self, payload: bytes):
        (length,) = _LENGTH.unpack_from(payload)
        self._json = payload[_LENGTH.size : _LENGTH.size + length]
        self._data = payload[_LENGTH.size + length :]

    def read(self) -> tuple[Any, Any]:
        about, tree = json.loads(self._json)
        return about, self._value(tree)

    def _value(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self._value(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        if len(tree) == 1 and (key := next(iter(tree))).startswith("!"):
            return getattr(self, "_read_" + key[1:])(tree[key])
        return {key: self._value(value) for key, value in tree.items()}

    def _bytes(self, at: int, length: int) -> bytes:
        if at < 0 or length < 0 or at + length > len(self._data):
            raise ValueError("beyond the end")
        return self._data[at : at + length]

    def _read_bytes(self, where: list[int]) -> bytes:
        return self._bytes(*where)

    def _read_bytearray(self, where: list[int]) -> bytearray:
        return bytearray(self._bytes(*where))

    def _read_tuple(self, items: list[Any]) -> tuple[Any, ...]:
        return tuple(self._value(item) for item in items)

    def _read_deque(self, parts: list[Any]) -> collections.deque[Any]:
        return collections.deque(self._value(parts[1]), parts[0])

    def _read_dict(self, pairs: list[Any]) -> dict[Any, Any]:
        return {self._value(key): self._value(value) for key, value in pairs}

    def _read_scalar(self, parts: list[Any]) -> Any:
        return self._numbers(parts[0], parts[1], parts[2])[0]

    def _read_array(self, parts: list[Any]) -> np.ndarray:
        kind, shape, order, at, length = parts
        return self._numbers(kind, at, length).reshape(shape, order=order).copy(order=order)

    def _numbers(self, kind: str, at: int, length: int) -> np.ndarray:
        if (dtype := np.dtype(kind)).kind not in _ARRAYS:
            raise ValueError("not numbers")
        return np.frombuffer(self._bytes(at, length), dtype)


def _is_view_of_block(value: Any) -> bool:
    while isinstance(value, np.ndarray):
        value = value.base
    return isinstance(value.obj if isinstance(value, memoryview) else value, mmap.mmap)
