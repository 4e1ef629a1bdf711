"""Text in, text out: translators, generators and classifiers around a model and its tokenizer."""
