"""YAML that remembers where each value stood, so that an error can name its line."""

from pathlib import Path
from typing import Any

import yaml

from distill_jobs.environment import expand
from distill_jobs.errors import JobFileInvalid


class Document:
    """A YAML file with the environment's variables filled in.

    Attributes:
        file: Where it came from.
        content: The mapping it holds.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._root = _compose(file)
        _expand_scalars(self._root, file)
        _refuse_duplicates(self._root, file)
        content = _construct(self._root)
        if not isinstance(content, dict):
            raise JobFileInvalid(file, 1, "", "must be a mapping of sections (`name:`, `data:`...)")
        self.content: dict[str, Any] = content

    def line(self, place: tuple[str | int, ...]) -> int:
        """Return the 1-based line of a value, or of the deepest part of its path that exists."""
        node, line = self._root, self._root.start_mark.line
        for step in place:
            entry = _child(node, step)
            if entry is None:
                continue
            line, node = entry
        return int(line) + 1


def _construct(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _compose(file: Path) -> yaml.Node:
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise JobFileInvalid(file, 1, "", "no such job file") from error
    except UnicodeDecodeError as error:
        raise JobFileInvalid(file, 1, "", "not a text file in UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise JobFileInvalid(file, line, "", f"not YAML: {error.problem}") from error
    if root is None:
        raise JobFileInvalid(file, 1, "", "the file is empty")
    return root


def _expand_scalars(node: yaml.Node, file: Path) -> None:
    if isinstance(node, yaml.ScalarNode):
        try:
            node.value = expand(node.value)
        except KeyError as error:
            name = error.args[0]
            problem = f"${{{name}}} is not set: export it, or write ${{{name}:-default}}"
            raise JobFileInvalid(file, node.start_mark.line + 1, "", problem) from error
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _expand_scalars(item, file)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            _expand_scalars(value, file)


def _refuse_duplicates(node: yaml.Node, file: Path) -> None:
    """YAML's loader keeps the last of two equal keys in silence; a job must not."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            raise JobFileInvalid(file, key.start_mark.line + 1, key.value, "is given twice")
        seen.add(key.value)
        _refuse_duplicates(value, file)


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    return None
