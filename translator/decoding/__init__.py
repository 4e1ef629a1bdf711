"""From a model to translations: search over a `Decodable`, and the `Translator` that people use."""
