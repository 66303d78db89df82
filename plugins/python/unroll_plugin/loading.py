"""Imports a plugin's file, and checks its classes as the host checks a library."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import types
from typing import Any

from . import errors, state
from .plugin import Plugin

WANTS = {"entropy": 1, "hidden": 2, "text": 4, "word_end": 16, "ranks": 32}  # UNROLL_WANT_* of plugin.h
WANT_TOP_K = 8
_MOST_TOP_K = 64
_MODULE = "unroll_plugin_file"


class Refused(Exception):
    """The file cannot be loaded; the message says why."""


def load_file(file: str) -> dict[str, type[Plugin]]:
    """The file's plugins by name, in the order of the file. Raises Refused."""
    found: dict[str, type[Plugin]] = {}
    for value in list(vars(_run(file)).values()):
        if not (isinstance(value, type) and issubclass(value, Plugin) and value.__module__ == _MODULE and value.name):
            continue
        if value in found.values():
            continue
        if fault := _fault(value):
            raise Refused(f"{_place(file, value)}: class {value.__name__}: {fault}")
        if value.name in found:
            raise Refused(f'{_place(file, value)}: class {value.__name__}: the name "{value.name}" is taken')
        found[value.name] = value
    if not found:
        raise Refused(f"{os.path.basename(file)} has no class derived from unroll_plugin.Plugin with a name")
    return found


def hello(plugins: dict[str, type[Plugin]]) -> dict[str, Any]:
    return {"type": "hello", "abi": 1, "plugins": [_about(plugin) for plugin in plugins.values()]}


def _run(file: str) -> types.ModuleType:
    """Imports the file under a name of its own, so that a plugin may be called random.py."""
    module = types.ModuleType(_MODULE)
    module.__file__ = file
    sys.modules[_MODULE] = module
    sys.dont_write_bytecode = True  # the plugin folder must hold only plugins
    sys.path.append(os.path.dirname(os.path.abspath(file)))  # its own modules, after all others
    try:
        with open(file, "rb") as source:
            exec(compile(source.read(), file, "exec"), vars(module))
    except OSError as error:
        if error.filename == file:
            raise Refused(f"cannot read {file}: {error.strerror}") from error
        raise Refused(errors.describe(error, file)) from error
    except BaseException as error:
        detail = error.msg if isinstance(error, SyntaxError) else str(error)
        raise Refused(f"{errors.place(error, file)}: {type(error).__name__}: {detail}") from error
    return module


def _about(plugin: type[Plugin]) -> dict[str, Any]:
    wants = sum(WANTS[name] for name in plugin.wants) | (WANT_TOP_K if plugin.top_k else 0)
    schema = json.dumps(plugin.options_schema) if plugin.options_schema else ""
    return {"name": plugin.name, "version": plugin.version, "description": plugin.description, "wants": wants,
            "top_k": plugin.top_k, "saves": state.saves(plugin), "forks": state.forks(plugin), "options": schema}  # fmt: skip


def _fault(plugin: type[Plugin]) -> str:
    """What is wrong with a class; empty if nothing is."""
    return _fault_of_texts(plugin) or _fault_of_wants(plugin) or _fault_of_methods(plugin)


def _fault_of_texts(plugin: type[Plugin]) -> str:
    if not isinstance(plugin.name, str) or not re.fullmatch("[a-z][a-z0-9-]{0,31}", plugin.name):
        return f"the name {plugin.name!r} must match [a-z][a-z0-9-]{{0,31}}"
    if not isinstance(plugin.version, str):
        return f'version is {plugin.version!r}; it must be a text, such as "1"'
    if not isinstance(plugin.description, str) or "\n" in plugin.description:
        return "description must be a text of one line"
    try:
        json.dumps(plugin.options_schema)
    except (TypeError, ValueError):
        return "options_schema must be a dict that is JSON"
    return ""


def _fault_of_wants(plugin: type[Plugin]) -> str:
    if isinstance(plugin.wants, str):
        return f'wants is a text; write wants = ("{plugin.wants}",)'
    unknown = [name for name in plugin.wants if name not in WANTS]
    if unknown or len(set(plugin.wants)) != len(plugin.wants):
        return f"wants is {plugin.wants!r}; it may hold, once each, {', '.join(WANTS)} (and top_k = N beside it)"
    if type(plugin.top_k) is not int or not 0 <= plugin.top_k <= _MOST_TOP_K:
        return f"top_k is {plugin.top_k!r}; it must be a whole number from 0 to {_MOST_TOP_K}"
    return ""


def _fault_of_methods(plugin: type[Plugin]) -> str:
    if plugin.process is Plugin.process:
        return "it has no process(self, block)"
    for method, arguments in (
        (plugin.__init__, "options"),
        (plugin.process, "block"),
        (plugin.finish, "end"),
    ):
        try:
            inspect.signature(method).bind(None, None)
        except TypeError:
            return f"{method.__name__} must be defined as {method.__name__}(self, {arguments})"
    own = [hasattr(plugin, "save"), hasattr(plugin, "load")]
    if any(own) and (not all(own) or hasattr(plugin, "state")):
        return "it must have both save() and load(), or a `state`, or none of these"
    if hasattr(plugin, "state") and type(plugin.state) is not dict:
        return "`state` must be a dict"
    return ""


def _place(file: str, plugin: type[Plugin]) -> str:
    try:
        return f"{os.path.basename(file)}:{inspect.getsourcelines(plugin)[1]}"
    except (OSError, TypeError):
        return os.path.basename(file)
