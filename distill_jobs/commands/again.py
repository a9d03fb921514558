"""The command that is running, as it would be given once more."""

import shlex
from collections.abc import Iterator
from enum import Enum

import typer


def given_again(context: typer.Context) -> str:
    """Return the command with every argument, and every option that is not at its default.

    What is left out of a command that goes on with something is a quiet change of it.
    """
    arguments: list[str] = []
    options: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if value is None or value == parameter.get_default(context):
            continue
        if parameter.param_type_name == "argument":
            arguments += _texts(value)
        elif isinstance(value, bool):
            options.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            options += [word for text in _texts(value) for word in (parameter.opts[0], text)]
    # The commands are named as they are found: "label" by itself, the others of `understudy job`.
    group = "" if context.info_name == "label" else "job "
    return f"understudy {group}{context.info_name} {shlex.join([*arguments, *options])}"


def _texts(value: object) -> Iterator[str]:
    for one in value if isinstance(value, list | tuple) else [value]:
        yield str(one.value if isinstance(one, Enum) else one)
