"""YAML parsing for configurations: safe types, bounded size and depth, without the traps of YAML 1.1."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import yaml

from translator.errors import UserError, shorten

_MAX_CHARACTERS = 1 << 20
_MAX_DEPTH = 32
_MAX_VALUES = 20_000  # with each alias counted as what it stands for


# Implicit types that differ from YAML 1.1, in which "no" and "on" are booleans, "2024-11-27" is a date, "12:30" is 750
# and "010" is 8, but "1e-4" is text.
_REPLACED = ("bool", "int", "float", "timestamp")
_BOOL = r"^(?:true|True|TRUE|false|False|FALSE)$"
_INT = r"^[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$"
_FLOAT = (
    r"^(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


class ConfigError(UserError):
    """A configuration that cannot be used. The message lists all problems."""


def parse_yaml(text: str, origin: str) -> Any:
    """Return the value of a YAML document.

    Unlike in YAML 1.1, `1e-4` is a number; dates, times such as `12:30`, and `no`, `on`, `off` and `y` are text; and a
    key that is given twice is an error.

    Args:
        text: the document.
        origin: its file or option, for error messages.

    Raises:
        ConfigError: if the text is not YAML, or is too large or too deeply nested.
    """
    if len(text) > _MAX_CHARACTERS:
        raise ConfigError(
            f"{shorten(origin)} must have at most {_MAX_CHARACTERS:,} characters. Received: {len(text):,}."
        )
    try:
        return yaml.load(text, Loader=_Loader)
    except _LimitError as error:
        raise ConfigError(f"{shorten(origin)} {error}.") from error
    except yaml.YAMLError as error:
        reason = shorten(" ".join(str(error).split()))
    # PyYAML's constructors let exceptions of Python's conversions pass: "!!int foo", "!!float ''", a number of more
    # digits than Python converts.
    except (ValueError, ArithmeticError, AttributeError, LookupError, TypeError) as error:
        reason = f"a value that cannot be converted ({shorten(str(error))})"
    raise ConfigError(f"{shorten(origin)} must be valid YAML. Received: {reason}")


def dump_yaml(value: Any) -> str:
    """Return YAML text that `parse_yaml` reads back as an equal value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _LimitError(Exception):
    """A document that exceeds a limit."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with other implicit types and with limits."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def get_single_node(self) -> yaml.Node | None:
        """Return the root node, after a check of its size with all aliases expanded."""
        root = super().get_single_node()
        if root is not None:
            _count_values(root, {})
        return root

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, and refuse one that is nested too deeply."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _LimitError(f"must be nested at most {_MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping, and refuse a repeated key."""
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<")
        repeated = [key for key, count in keys.items() if count > 1]
        if repeated:
            raise yaml.constructor.ConstructorError(
                None, None, f"a mapping must have each key once; repeated: {', '.join(repeated)}", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


def _count_values(node: yaml.Node, counts: dict[int, int]) -> int:
    """Return the number of values in a node, with each alias counted as what it stands for.

    Args:
        node: the root.
        counts: results by node identity; 0 while a node is being counted.
    """
    known = counts.get(id(node))
    if known == 0:
        raise _LimitError("must not have an alias that contains itself")
    if known is None:
        counts[id(node)] = 0
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        children = [child for part in parts for child in (part if isinstance(part, tuple) else (part,))]
        known = counts[id(node)] = 1 + sum(_count_values(child, counts) for child in children)
    if known > _MAX_VALUES:
        raise _LimitError(f"must hold at most {_MAX_VALUES:,} values")
    return known


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes text that YAML 1.1 or `_Loader` would read as another type."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(_BOOL), list("tTfF"))
    _class.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(_INT), list("-+0123456789"))
    _class.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(_FLOAT), list("-+.0123456789"))
