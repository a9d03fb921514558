"""Reading a YAML file into one of the job file's models, with complaints that name the line."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from distill_jobs.errors import JobFileInvalid
from distill_jobs.yaml_lines import Document

Model = TypeVar("Model", bound=BaseModel)


def read(model: type[Model], file: Path, *, base: Path | None = None) -> Model:
    """Read and check a YAML file.

    Args:
        model: What it must be.
        file: The YAML file.
        base: Where its relative paths start; its own folder when None.

    Returns:
        The model, every path absolute and every `${VARIABLE}` filled in.

    Raises:
        JobFileInvalid: The first fault: its line, its key, and what to do.
    """
    document = Document(file)
    try:
        return model.model_validate(
            document.content, context={"base": base or file.resolve().parent}
        )
    except ValidationError as error:
        fault = error.errors()[0]
        place = tuple(fault["loc"])
        key = ".".join(str(step) for step in place)
        problem = _explain(fault["type"], fault["msg"], fault.get("input"))
        raise JobFileInvalid(file, document.line(place), key, problem) from error


def _explain(kind: str, message: str, value: object) -> str:
    if kind == "extra_forbidden":
        return "unknown key: see `understudy job run --help` for the sections"
    if kind == "missing":
        return "is missing"
    message = message.removeprefix("Value error, ")
    if isinstance(value, str | int | float | bool):
        return f"{message}; it is {value!r}"
    return message
