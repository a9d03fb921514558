"""A trial's job: the swept one with a trial's values, and nothing that looks at the test split."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from distill_jobs.errors import JobFileInvalid
from distill_jobs.files import write_atomically
from distill_jobs.job import Job
from distill_jobs.recipe.sweep import Range, Value

if TYPE_CHECKING:
    import optuna


def suggest(trial: "optuna.Trial", space: Mapping[str, Range]) -> dict[str, Value]:
    """Ask the sampler for a value of each key."""
    return {key: _suggest_one(trial, key, values) for key, values in space.items()}


def _suggest_one(trial: "optuna.Trial", key: str, values: Range) -> Value:
    if values.choices:
        chosen = trial.suggest_categorical(key, list(values.choices))
        return "" if chosen is None else chosen  # None is never among the choices
    low, high = values.low or 0, values.high or 0
    if values.is_whole:
        step = int(values.step) if values.step is not None else 1
        return trial.suggest_int(key, int(low), int(high), step=step, log=values.log)
    step_size = None if values.step is None else float(values.step)
    return trial.suggest_float(key, float(low), float(high), step=step_size, log=values.log)


def extremes(space: Mapping[str, Range]) -> list[dict[str, Value]]:
    """Return settings that reach every end of every range and every choice, one key at a time."""
    settings: list[dict[str, Value]] = []
    for key, values in space.items():
        ends = values.choices or (values.low, values.high)
        settings.extend({key: value} for value in ends if value is not None)
    return settings


def write_trial_job(job: Job, values: Mapping[str, Value], path: Path, base: Path) -> Job:
    """Write the job file of a trial and read it back.

    Args:
        job: The swept job.
        values: By dotted key.
        path: The new file; its paths are absolute.
        base: Where relative paths among the values start: the swept job file's folder.

    Returns:
        The trial's job.

    Raises:
        JobFileInvalid: A value breaks its limit, or its key does not exist.
    """
    content = _content(job)
    content.pop("sweep", None)
    for key, value in values.items():
        if not _put(content, key.split("."), value):
            raise JobFileInvalid(path, 1, key, "there are no keys below a value")
    _write(content, path)
    trial = Job.load(path, base=base)
    _write(_content(trial), path)
    return trial


def _content(job: Job) -> dict[str, Any]:
    return job.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _write(content: dict[str, Any], path: Path) -> None:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())


def check_space(job: Job, file: Path, scratch: Path) -> None:
    """Check before the first trial that every key exists and every end of its range is allowed.

    Args:
        job: The swept job; it has a `sweep:` section.
        file: Its file, named in an error.
        scratch: A file to try settings in; removed.

    Raises:
        JobFileInvalid: A key does not exist or a value breaks its limit.
    """
    space = job.sweep.space if job.sweep is not None else {}
    try:
        for setting in extremes(space):
            try:
                write_trial_job(job, setting, scratch, file.resolve().parent)
            except JobFileInvalid as error:
                (key, value), *_ = setting.items()
                problem = error.message.rpartition(f"{scratch}:")[2].partition(": ")[2]
                raise JobFileInvalid(
                    file, 1, f"sweep.space.{key}", f"{value!r} is not possible: {problem}"
                ) from error
    finally:
        scratch.unlink(missing_ok=True)


def _put(content: dict[str, Any], steps: list[str], value: Value) -> bool:
    """Set a value below sections that are made where they are missing; False where one is none."""
    *sections, last = steps
    for name in sections:
        if content.get(name) is None:
            content[name] = {}
        content = content[name]
        if not isinstance(content, dict):
            return False
    content[last] = value
    return True
