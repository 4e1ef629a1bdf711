"""Speed of the data pipeline: real target tokens per second, with and without subword sampling and workers.

    python benchmarks/data_throughput.py --file train.parquet --vocab-size 8000

Trains a tokenizer on the `fr` and `en` columns of the file, then streams batches. Also compares one sample of
SentencePiece's own sampler with ours, in sentences per CPU second; each text is sampled once before timing starts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", required=True, help="Parquet, TSV, … with columns fr and en")
    parser.add_argument("--vocab-size", type=int, default=8000)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--tokens", type=int, default=1_000_000, help="target tokens to stream per setting")
    arguments = parser.parse_args()

    import sentencepiece as spm

    from translator.config import DataConfig, Source, TokenizerConfig
    from translator.data.batching import BatchStream
    from translator.data.corpus import load_corpus, read_clean_rows
    from translator.tokenizer import Tokenizers

    with tempfile.TemporaryDirectory() as cache:
        source = Source(file=str(Path(arguments.file).expanduser()))
        data = DataConfig(source_language="fr", target_language="en", train=(source,), cache=cache)
        pairs = list(read_clean_rows(data.train, data, print))
        tokenizers = Tokenizers.train(pairs, TokenizerConfig(vocab_size=arguments.vocab_size), seed=1)
        texts = [source for source, _ in pairs[:20_000]]
        processor = spm.SentencePieceProcessor(model_proto=tokenizers.source.to_bytes())
        for name, draw in (
            ("ours", lambda text: tokenizers.source.sample(text, 0.2, 1)),
            ("SentencePiece", lambda text: processor.encode(text, enable_sampling=True, alpha=0.2, nbest_size=-1)),
        ):
            for text in texts:
                draw(text)
            start = time.process_time()
            for text in texts:
                draw(text)
            print(f"sampling, {name}: {len(texts) / (time.process_time() - start):,.0f} sentences/s")

        print("alpha  workers  target tokens/s  per second of this process  target fill")
        for alpha, workers in ((0.0, 0), (0.2, 0), (0.2, 1), (0.2, 2)):
            corpus = load_corpus(
                data.train, data, tokenizers, sampling_alpha=alpha, seed=1, max_positions=512, log=lambda line: None
            )
            batches = BatchStream(corpus, seed=1, batch_tokens=arguments.batch_tokens, workers=workers)
            next(batches)
            count = arguments.tokens // arguments.batch_tokens
            start, busy = time.perf_counter(), time.process_time()
            tokens = sum(next(batches).num_target_tokens for _ in range(count))
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
            batches.close()
            fill = tokens / count / arguments.batch_tokens
            print(f"{alpha:5}  {workers:7}  {tokens / seconds:15,.0f}  {tokens / busy:26,.0f}  {fill:11.1%}")


if __name__ == "__main__":
    main()
