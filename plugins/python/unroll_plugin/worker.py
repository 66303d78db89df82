"""The worker: serves one host until the connection ends. One call at a time, on one thread."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Callable
from typing import Any

from . import errors, state
from .block import Block, End, Fork, Layout, Vocabulary, map_read_only
from .plugin import Host, Plugin
from .wire import Channel, Frame, ProtocolError

_MOST_OUTPUT_BYTES = 16 << 20
_MOST_CALL_BYTES = 64 << 20
_ALWAYS = frozenset(("tokens", "offsets", "logprobs"))


class WorkerHost(Host):
    """The host as seen by the instances of a worker."""

    def __init__(self, channel: Channel):
        self._channel = channel
        self._room = -1  # bytes that the running call may still emit; -1: none allowed

    def open(self, outputs: bool) -> None:
        """Called when a call begins."""
        self._room = _MOST_CALL_BYTES if outputs else -1

    def close(self) -> None:
        self._room = -1

    def emit(self, text: bytes) -> None:
        if self._room < 0:
            super().emit(text)
        if len(text) > _MOST_OUTPUT_BYTES:
            raise ValueError(f"an output of {len(text)} bytes; {_MOST_OUTPUT_BYTES} are allowed")
        if len(text) > self._room:
            raise ValueError(f"the outputs of one call are more than the {_MOST_CALL_BYTES} bytes that are allowed")
        self._room -= len(text)
        self._channel.send({"type": "output"}, text, now=False)

    def log(self, level: int, text: str) -> None:
        self._channel.send({"type": "log", "level": level}, text.encode(errors="replace"))


class Worker:
    """`file`: of the plugins, for error messages. `memory`: the memory limit of the process in bytes, or 0."""

    def __init__(self, channel: Channel, file: str, plugins: dict[str, type[Plugin]], memory: int = 0):
        self._channel = channel
        self._file = file
        self._plugins = plugins
        self._memory = memory
        self._host = WorkerHost(channel)
        self._arena: mmap.mmap | None = None
        self._instances: dict[int, Plugin] = {}
        self._handlers = {"vocabulary": self._vocabulary, "arena": self._new_arena, "create": self._create,
                          "load": self._load, "process": self._process, "finish": self._finish,
                          "fork": self._fork, "destroy": self._destroy}  # fmt: skip

    def serve(self) -> None:
        """Returns at the end of the connection. Raises ProtocolError."""
        while (frame := self._channel.receive()) is not None:
            handler = self._handlers.get(frame.type) if isinstance(frame.type, str) else None
            if handler is None or (frame.descriptor >= 0) != (frame.type in ("vocabulary", "arena")):
                raise ProtocolError("a frame of unknown type, or one without its descriptor or with one too many")
            handler(frame)

    def _vocabulary(self, frame: Frame) -> None:
        try:
            size = os.fstat(frame.descriptor).st_size
            self._host.vocabulary = Vocabulary(frame.number("count"), map_read_only(frame.descriptor, size))
        except (OSError, ValueError) as error:
            raise ProtocolError(f"the vocabulary cannot be read: {error}") from error

    def _new_arena(self, frame: Frame) -> None:
        # The previous map is freed when nothing refers to it: a plugin may have kept a view, so it is not closed here.
        try:
            self._arena = map_read_only(frame.descriptor, frame.number("bytes"))
        except (OSError, ValueError) as error:
            raise ProtocolError(f"the arena cannot be mapped: {error}") from error

    def _create(self, frame: Frame) -> None:
        number, plugin = frame.number("instance"), self._plugins.get(frame.text("plugin"))
        try:
            options = json.loads(frame.text("options"))
        except ValueError as error:
            raise ProtocolError("options that are no JSON") from error
        if plugin is None or number in self._instances or not isinstance(options, dict):
            raise ProtocolError("create for a plugin that there is not, an instance that there is, or no options")
        instance = plugin.__new__(plugin, options)
        instance._attach(self._host)
        self._instances[number] = instance
        self._call(instance, lambda: plugin.__init__(instance, options))

    def _load(self, frame: Frame) -> None:
        instance = self._instance(frame)
        self._call(instance, lambda: state.load(instance, frame.data))

    def _process(self, frame: Frame) -> None:
        instance, layout = self._instance(frame), self._layout(frame)
        assert self._arena is not None
        block = Block(layout, self._arena)
        try:
            self._call(instance, lambda: instance.process(block), outputs=True)
        finally:
            block._end()

    def _finish(self, frame: Frame) -> None:
        word_end = frame.fields.get("word_end", 0.0)
        if type(word_end) not in (int, float):
            raise ProtocolError('"word_end" of "finish" must be a number')
        instance = self._instance(frame)
        end = End(frame.number("tokens"), frame.number("bytes"), float(word_end))
        self._call(instance, lambda: instance.finish(end), outputs=True)

    def _fork(self, frame: Frame) -> None:
        instance, point = self._instance(frame), Fork(frame.number("tokens"), frame.number("bytes"), frame.data)
        fork = getattr(instance, "fork", None)
        if fork is None:
            raise ProtocolError("fork of a plugin that has none")
        self._call(instance, lambda: fork(point))

    def _destroy(self, frame: Frame) -> None:
        self._instance(frame)
        del self._instances[frame.number("instance")]

    def _instance(self, frame: Frame) -> Plugin:
        instance = self._instances.get(frame.number("instance"))
        if instance is None:
            raise ProtocolError(f'"{frame.type}" for an instance that there is not')
        return instance

    def _layout(self, frame: Frame) -> Layout:
        at = frame.fields.get("at")
        if self._arena is None or not isinstance(at, dict) or not _ALWAYS <= at.keys():
            raise ProtocolError("a block without an arena, or without its tokens, offsets and logprobs")
        names = ("index", "first_token", "length", "top_k", "dim", "text_bytes")
        layout = Layout(**{name: frame.number(name) for name in names}, at=at)
        for name, offset in at.items():
            try:
                kind, shape = layout.array(name)
            except KeyError as error:
                raise ProtocolError("a block with an array of unknown name") from error
            count = shape[0] * (shape[1] if len(shape) == 2 else 1)
            if type(offset) is not int or offset < 0 or offset + count * kind.itemsize > len(self._arena):
                raise ProtocolError(f"a block whose {name} do not lie in the arena")
        return layout

    def _call(self, instance: Plugin, function: Callable[[], Any], outputs: bool = False) -> None:
        """Calls the plugin and answers. Whatever it raises becomes a status and a message."""
        status, text, kept = 0, "", b""
        self._host.open(outputs)
        try:
            function()
            kept = state.save(instance)
        except errors.Error as error:
            status, text = error.status, errors.describe(error, self._file)
        except MemoryError as error:
            limit = f"; its limit is {self._memory} bytes" if self._memory else ""
            status, text = errors.INTERNAL, errors.describe(error, self._file) + limit
        except BaseException as error:  # including SystemExit: a plugin must not end the worker
            status, text = errors.INTERNAL, errors.describe(error, self._file)
        self._host.close()
        self._channel.send({"type": "done", "status": status, "error": text}, kept)
