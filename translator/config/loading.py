"""Read configurations from YAML and the command line, and say in full what is wrong with one.

A configuration is checked as a whole before anything runs: all errors at once, each with its dotted path, what was
required and what was received.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from translator.config.data import Form, SomeSources, Source
from translator.config.schema import Config
from translator.config.section import ONE_OR_SEVERAL, Section
from translator.errors import UserError
from translator.file_input import expand_user

Model = TypeVar("Model", bound=BaseModel)

# What pydantic would call by names of Python's.
_REQUIRED = {"tuple_type": "a list", "string_type": "text", "too_short": "a list of at least {min_length}"}


class ConfigError(UserError):
    """A configuration that cannot be used; the message lists everything that is wrong with it."""


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration from a YAML file.

    Args:
        path: the file.
        overrides: `section.key=value`, each value read as YAML; applied in order over the file.

    Raises:
        ConfigError: the file cannot be read, or what it says cannot be used; all problems at once.
    """
    path = expand_user(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"A configuration is a readable YAML file. Received: {path} ({_reason(error)}).") from error
    values = _parse_yaml(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"A configuration is a YAML mapping. Received: {path}, which holds {_kind(values)}.")
    for override in overrides:
        _apply(values, override)
    return validate(values, str(path))


def validate(values: dict[str, Any], origin: str) -> Config:
    """Check plain values as a configuration.

    Args:
        values: as read from YAML.
        origin: where they came from, for the message.

    Raises:
        ConfigError: with one line for each problem.
    """
    return _validated(Config, values, origin)


def parse_sources(spec: str, form: Form = "pairs") -> tuple[Source, ...]:
    """Read what `data.test` takes, as YAML or as a path.

    Args:
        spec: `test.parquet`, `{phrasebook: test}`, `[{file: a.tsv}, {file: b.tsv}]`, ….
        form: what a row is.

    Raises:
        ConfigError: it is none of these.
    """

    class _Spec(Section):
        test: SomeSources

    sources = _validated(_Spec, {"test": _parse_yaml(spec, "--test")}, "--test").test
    for source in sources:
        for problem in source.problems(form):
            raise ConfigError(f"--test: {problem}")
    return sources


def to_yaml(config: Config) -> str:
    """The configuration as YAML that `load_config` reads back as an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json", exclude_unset=False), sort_keys=False, allow_unicode=True)


def differences(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """Dotted paths at which two configurations differ, each with its old and new value."""
    before, after = _flatten(old.model_dump(mode="json")), _flatten(new.model_dump(mode="json"))
    return {
        key: (before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _parse_yaml(text: str, origin: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin} must be valid YAML. Received: {' '.join(str(error).split())}") from error


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with three traps removed.

    `1e-4` is a number; `no`, `on`, `off`, `y` are text (a language, say); a key given twice is an error.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the base class, but each key once."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        repeated = [key for key in dict.fromkeys(keys) if keys.count(key) > 1]
        if repeated:
            raise yaml.constructor.ConstructorError(
                None, None, f"a mapping has each key once; repeated: {', '.join(repeated)}", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool",)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _apply(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ConfigError(f"An override is section.key=value. Received: {override!r}.")
    *sections, key = path.split(".")
    place: Any = values
    for section in sections:
        if place.get(section) is None:
            place[section] = {}
        place = place[section]
        if not isinstance(place, dict):
            raise ConfigError(
                f"An override names a key of a section. Received: {override!r}; {section} is no section. "
                "A list is given as a whole: data.train=[{file: a.tsv}, {file: b.tsv}], say."
            )
    place[key] = _parse_yaml(text, override)


def _validated(kind: type[Model], values: dict[str, Any], origin: str) -> Model:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [_describe(kind, problem) for problem in error.errors()]
    plural = "problem" if len(problems) == 1 else "problems"
    raise ConfigError(f"{origin}: {len(problems)} {plural}.\n" + "\n".join(f"  {line}" for line in problems))


def _describe(kind: type[BaseModel], problem: Any) -> str:
    """One line for one of pydantic's errors: dotted path, what was required, what was received."""
    place = ".".join(str(part) for part in problem["loc"] if part not in ONE_OR_SEVERAL)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(kind, problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(known)}."
        return f"{place}: no such key.{hint}"
    if problem["type"] == "missing":
        return f"{place}: required, and missing."
    if problem["type"] == "value_error":
        return (f"{place}: " if place else "") + str(problem["ctx"]["error"])
    if problem["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return f"{place}: must be a section of keys and values. Received: {problem['input']!r}."
    if problem["type"] in _REQUIRED:
        message = _REQUIRED[problem["type"]].format(**problem.get("ctx", {}))
    else:
        message = problem["msg"].removeprefix("Input should be ")
    return f"{place}: must be {message}. Received: {problem['input']!r}."


def _known_keys(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Keys that the section at `location` has; those of a source inside a list of sources."""
    current: Any = kind
    for part in location:
        if isinstance(part, int):
            continue
        annotation = current.model_fields[part].annotation
        candidates = [annotation, *get_args(annotation)]
        current = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), current)
    return sorted(current.model_fields)


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8 text"


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
