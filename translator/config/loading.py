"""Configurations from YAML files and command-line overrides, and the error messages for invalid ones.

A configuration is validated as a whole before anything runs. All problems are reported at once, each with its dotted
path, what was required and what was received.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from translator.config.data import Form, SomeSources, Source
from translator.config.decoding import SAMPLING_FIELDS, DecodingChanges, DecodingOptions
from translator.config.parsing import ConfigError, dump_yaml, parse_yaml
from translator.config.schema import Config
from translator.config.section import AUTO_OR_NUMBER, ONE_OR_SEVERAL, Section
from translator.errors import shorten
from translator.file_input import expand_user, read_regular_file

Model = TypeVar("Model", bound=BaseModel)

# Requirements that pydantic words in Python's terms.
_REQUIRED = {
    "tuple_type": "a list",
    "string_type": "text",
    "too_short": "a list of at least {min_length}",
    "int_parsing_size": "a smaller number",
    "invalid_key": "a mapping whose keys are text",
}
_TAGS = (*ONE_OR_SEVERAL, *AUTO_OR_NUMBER)
_MAX_FILE_SIZE = 1 << 20  # bytes
_MAX_PROBLEMS = 50
_MAX_PROBLEM_LENGTH = 1000  # characters


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration from a YAML file.

    Args:
        path: the file.
        overrides: `section.key=value`, each value in YAML; applied in this order after the file is read.

    Raises:
        ConfigError: if the file cannot be read or the configuration is invalid; lists all problems.
    """
    path = expand_user(path)
    try:
        text = read_regular_file(path, _MAX_FILE_SIZE).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"A configuration must be a readable YAML file. Received: {path} ({_reason(error)})."
        ) from error
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"A configuration must be a YAML mapping. Received: {path}, which holds {_kind(values)}.")
    for override in overrides:
        _apply(values, override)
    return validate(values, str(path))


def validate(values: dict[str, Any], origin: str) -> Config:
    """Return a configuration made of plain values.

    Args:
        values: sections, keys and values as read from YAML.
        origin: file or description of the values, for error messages.

    Raises:
        ConfigError: if the configuration is invalid; has one line per problem.
    """
    return _validated(Config, values, origin)


def parse_sources(spec: str, form: Form = "pairs") -> tuple[Source, ...]:
    """Return the sources of `--test`, which takes the values of `data.test` as YAML, or a path.

    Args:
        spec: `test.parquet`, `{phrasebook: test}`, `[{file: a.tsv}, {file: b.tsv}]`, ….
        form: content of a row.

    Raises:
        ConfigError: if a source is invalid or does not hold such rows.
    """

    class _Spec(Section):
        test: SomeSources

    sources = _validated(_Spec, {"test": parse_yaml(spec, "--test")}, "--test").test
    for source in sources:
        for problem in source.problems(form):
            raise ConfigError(f"--test: {problem}")
    return sources


def change_decoding(options: DecodingOptions, changes: DecodingChanges) -> DecodingOptions:
    """Return decoding options with some of them changed for one call.

    Args:
        options: the options of the model.
        changes: new values; None changes nothing. A `beam_size` turns sampling off.

    Raises:
        ConfigError: if an option is unknown, out of range or without effect, or if options contradict each other.
    """
    values: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    sampling = ", ".join(name for name in SAMPLING_FIELDS if name in values)
    if "beam_size" in values:
        if sampling or values.get("sample"):
            raise ConfigError(f"beam_size and {sampling or 'sample'} are mutually exclusive. Pass only one.")
        values["sample"] = False
    given = values.keys()
    values = options.model_dump(include=set(DecodingOptions.model_fields)) | values
    if sampling and not values["sample"]:
        raise ConfigError(f"{sampling}: only sampling uses this. Set sample: true (--sample).")
    try:
        changed = DecodingOptions.model_validate(values)
    except ValidationError as error:
        raise ConfigError(" ".join(_describe(DecodingOptions, problem) for problem in error.errors())) from None
    groups = ", ".join(name for name in ("num_beam_groups", "diversity_penalty") if name in given)
    if groups and changed.sample:
        raise ConfigError(f"{groups}: only beam search uses this. Set beam_size, or sample: false (--no-sample).")
    if "diversity_penalty" in given and changed.num_beam_groups == 1:
        raise ConfigError("diversity_penalty: only groups of a beam use this. Set num_beam_groups above 1.")
    return changed


def to_yaml(config: Config) -> str:
    """Return the configuration as YAML that `load_config` reads back as an equal one."""
    return dump_yaml(config.model_dump(mode="json", exclude_unset=False))


def differences(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """Return the dotted paths at which two configurations differ, each with its old and new value."""
    before, after = _flatten(old.model_dump(mode="json")), _flatten(new.model_dump(mode="json"))
    return {
        key: (before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def describe_differences(found: Mapping[str, tuple[Any, Any]]) -> str:
    """Return the result of `differences` as lines `  path: old -> new`."""
    return "\n".join(f"  {key}: {shorten(repr(old))} -> {shorten(repr(new))}" for key, (old, new) in found.items())


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _apply(values: dict[str, Any], override: str) -> None:
    """Apply one `section.key=value` to the values of a configuration."""
    path, equals, text = override.partition("=")
    received = f"Received: {shorten(repr(override))}"
    if not equals or not path:
        raise ConfigError(f"An override must have the form section.key=value. {received}.")
    *sections, key = path.split(".")
    place: Any = values
    for section in sections:
        if place.get(section) is None:
            place[section] = {}
        place = place[section]
        if not isinstance(place, dict):
            raise ConfigError(
                f"An override must name a key of a section. {received}; {shorten(section)} is not a section. "
                "Give a list as a whole, as in data.train=[{file: a.tsv}, {file: b.tsv}]."
            )
    place[key] = parse_yaml(text, override)


def _validated(kind: type[Model], values: dict[str, Any], origin: str) -> Model:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [_describe(kind, problem) for problem in error.errors()]
    plural = "problem" if len(problems) == 1 else "problems"
    lines = [f"  {line}" for line in problems[:_MAX_PROBLEMS]]
    if len(problems) > _MAX_PROBLEMS:
        lines.append(f"  … and {len(problems) - _MAX_PROBLEMS} more.")
    raise ConfigError(f"{origin}: {len(problems)} {plural}.\n" + "\n".join(lines))


def _describe(kind: type[BaseModel], problem: Any) -> str:
    """Return one line for an error of pydantic's: dotted path, what was required, what was received."""
    place = shorten(".".join(str(part) for part in problem["loc"] if part not in _TAGS))
    received = problem["input"]
    if problem["type"] == "extra_forbidden":
        known = _known_keys(kind, problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1])[:100], known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else f" Known: {', '.join(known)}."
        return f"{place}: no such key.{hint}"
    if problem["type"] == "missing":
        return f"{place}: required, and missing."
    if problem["type"] == "value_error":
        return (f"{place}: " if place else "") + shorten(str(problem["ctx"]["error"]), _MAX_PROBLEM_LENGTH)
    advice = ""
    if problem["type"] in ("model_type", "dict_type", "model_attributes_type"):
        required = "a section of keys and values"
    elif problem["type"] in _REQUIRED:
        required = _REQUIRED[problem["type"]].format(**problem.get("ctx", {}))
        if problem["type"] == "string_type" and isinstance(received, int | float):
            advice = f" Put it in quotes: {str(received).lower()!r}."
    else:
        required = problem["msg"].removeprefix("Input should be ")
    return f"{place}: must be {required}. Received: {shorten(repr(received))}.{advice}"


def _known_keys(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the section at `location`, or of a source if it is inside a list of sources."""
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
