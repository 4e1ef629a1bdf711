"""Configuration: its sections, and how they are read from YAML."""

from translator.config.data import (
    AugmentationConfig,
    CleaningConfig,
    DataConfig,
    Form,
    Source,
)
from translator.config.decoding import DecodingChanges, DecodingOptions
from translator.config.loading import (
    change_decoding,
    describe_differences,
    differences,
    load_config,
    parse_sources,
    to_yaml,
    validate,
)
from translator.config.model import ModelConfig
from translator.config.parsing import ConfigError
from translator.config.schema import (
    Config,
    ObjectiveName,
    Reporting,
    TokenizerConfig,
    TrainingConfig,
)
from translator.errors import UserError

__all__ = [
    "AugmentationConfig",
    "CleaningConfig",
    "Config",
    "ConfigError",
    "DataConfig",
    "DecodingChanges",
    "DecodingOptions",
    "Form",
    "ModelConfig",
    "ObjectiveName",
    "Reporting",
    "Source",
    "TokenizerConfig",
    "TrainingConfig",
    "UserError",
    "change_decoding",
    "describe_differences",
    "differences",
    "load_config",
    "parse_sources",
    "to_yaml",
    "validate",
]
