"""Configuration: its types, and how it is read."""

from translator.config.loading import (
    ConfigError,
    UserError,
    differences,
    load_config,
    parse_sources,
    to_yaml,
    validate,
)
from translator.config.schema import (
    AugmentationConfig,
    CleaningConfig,
    Config,
    DataConfig,
    DecodingConfig,
    ModelConfig,
    Source,
    TextPair,
    TokenizerConfig,
    TrainingConfig,
)

__all__ = [
    "AugmentationConfig",
    "CleaningConfig",
    "Config",
    "ConfigError",
    "DataConfig",
    "DecodingConfig",
    "ModelConfig",
    "Source",
    "TextPair",
    "TokenizerConfig",
    "TrainingConfig",
    "UserError",
    "differences",
    "load_config",
    "parse_sources",
    "to_yaml",
    "validate",
]
