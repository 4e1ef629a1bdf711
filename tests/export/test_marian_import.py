"""An imported Marian model computes what `MarianMTModel` computes, and can be trained further."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece as spm
import torch
from safetensors.torch import load_file, save_file
from sentences import PAIRS

from translator import Translator
from translator.checkpoint import LoadedModel, load_model, weights_of
from translator.config import ConfigError, DecodingChanges, TokenizerConfig, validate
from translator.engines.torch_engine import TorchEngine
from translator.export.folder import ExportError
from translator.export.marian import export_to_marian
from translator.export.marian_import import import_marian
from translator.model import EncoderDecoder
from translator.tokenizer import Tokenizers
from translator.training.trainer import train

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

Build = Callable[..., LoadedModel]
SHAPES: dict[str, dict[str, Any]] = {
    "as Helsinki-NLP's": {},
    "embeddings not scaled": {"scale_embedding": False},
    "feed-forward networks of two widths": {"encoder_ffn_dim": 48, "decoder_ffn_dim": 64},
    "relu, other heads and depths": {
        "activation_function": "relu",
        "encoder_layers": 1,
        "decoder_layers": 3,
        "decoder_attention_heads": 2,
    },
    "gelu, nothing tied": {
        "activation_function": "gelu",
        "tie_word_embeddings": False,
        "share_encoder_decoder_embeddings": False,
        "scale_embedding": False,
    },
}


def train_pieces(texts: list[str]) -> bytes:
    out = io.BytesIO()
    options = {"vocab_size": 90, "hard_vocab_limit": False, "minloglevel": 3, "num_threads": 1}
    spm.SentencePieceTrainer.train(sentence_iterator=iter(texts * 20), model_writer=out, **options)
    return out.getvalue()


@pytest.fixture(scope="session")
def vocabulary_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SentencePiece models of source and target, and one vocabulary, without some of the pieces of the source."""
    folder = tmp_path_factory.mktemp("marian-vocabulary")
    sides = {"source": [source for source, _ in PAIRS], "target": [target for _, target in PAIRS]}
    models = {side: train_pieces(texts) for side, texts in sides.items()}
    processors = {side: spm.SentencePieceProcessor(model_proto=model) for side, model in models.items()}
    pieces = {side: [p.id_to_piece(i) for i in range(3, p.vocab_size())] for side, p in processors.items()}
    unseen = [piece for piece in pieces["source"] if piece not in pieces["target"]][::9]
    kept = sorted({*pieces["source"], *pieces["target"]} - {*unseen}, key=lambda piece: piece[::-1])
    vocabulary = ["</s>", "<unk>", *kept, "<pad>"]
    for side, model in models.items():
        (folder / f"{side}.spm").write_bytes(model)
    ids = {piece: i for i, piece in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(ids, sort_keys=True))  # the order of the file is not that of the ids
    return folder


@pytest.fixture
def marian(vocabulary_files: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a model with random weights as transformers saves it."""

    def write(**changes: Any) -> Path:
        folder = tmp_path / "hugging-face"
        tokenizer = transformers.MarianTokenizer(
            *(str(vocabulary_files / name) for name in ("source.spm", "target.spm", "vocab.json")),
            source_lang="fr",
            target_lang="en",
        )
        size = len(json.loads((vocabulary_files / "vocab.json").read_text()))
        values: dict[str, Any] = {
            "vocab_size": size,
            "decoder_vocab_size": size,
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "activation_function": "swish",
            "scale_embedding": True,
            "max_position_embeddings": 60,
            "pad_token_id": size - 1,
            "decoder_start_token_id": size - 1,
            "eos_token_id": 0,
            "forced_eos_token_id": 0,
        }
        torch.manual_seed(3)
        model = transformers.MarianMTModel(transformers.MarianConfig(**(values | changes))).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "embed_positions" not in name:
                    parameter.normal_(0, 0.2)
                    parameter.add_(1.0 if name.endswith("layer_norm.weight") else 0.0)
            model.final_logits_bias.normal_(0, 1.0)
            model.final_logits_bias[0, 1] = -8.0  # UNK is never a label
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        for name in ("source.spm", "target.spm", "vocab.json"):
            shutil.copy(vocabulary_files / name, folder)
        return folder

    return write


def forced_scores(folder: Path, pairs: list[tuple[str, str]]) -> tuple[list[list[str]], list[list[float]]]:
    """Return the tokens of the sources, and the log-probability of each target token, by transformers."""
    model = transformers.MarianMTModel.from_pretrained(folder).eval()
    tokenizer = transformers.MarianTokenizer.from_pretrained(folder)
    pieces, scores = [], []
    for source, target in pairs:
        batch = tokenizer(source, text_target=target, return_tensors="pt")
        start = torch.tensor([[model.config.decoder_start_token_id]])
        with torch.inference_mode():
            logits = model(
                input_ids=batch.input_ids, decoder_input_ids=torch.cat((start, batch.labels[:, :-1]), 1)
            ).logits
        scores.append(logits.log_softmax(-1)[0].gather(1, batch.labels[0][:, None]).squeeze(1).tolist())
        pieces.append(tokenizer.convert_ids_to_tokens(batch.input_ids[0]))
    return pieces, scores


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_tokens_and_scores_are_those_of_transformers(
    changes: dict[str, Any], marian: Callable[..., Path], tmp_path: Path
) -> None:
    folder = marian(**changes)
    import_marian(folder, tmp_path / "imported")
    loaded = load_model(tmp_path / "imported")
    source, target = loaded.tokenizers.source, loaded.tokenizers.target
    known = json.loads((folder / "vocab.json").read_text())
    pieces, scores = forced_scores(folder, PAIRS[:6])
    num_unknown = 0
    for (text, _), theirs in zip(PAIRS, pieces, strict=False):
        ours = source.pieces([*source.encode(text), source.eos_id])
        num_unknown += sum(piece not in known for piece in ours)
        assert [piece if piece in known else "<unk>" for piece in ours] == theirs
    assert num_unknown  # pieces that the vocabulary lacks are UNK
    pairs = [(source.encode(text), target.encode(reference)) for text, reference in PAIRS[:6]]
    assert isinstance(loaded.model, EncoderDecoder) and loaded.model.output_bias is not None
    is_unknown = torch.tensor([piece not in known for piece in target.pieces(range(target.vocab_size))])
    is_unknown[:3] = False  # special tokens
    assert is_unknown.any() and (loaded.model.output_bias[is_unknown] < -50).all()  # and they are never written
    for ours, theirs in zip(TorchEngine(loaded.model).score(pairs, 200), scores, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_greedy_texts_are_those_of_transformers(marian: Callable[..., Path], tmp_path: Path) -> None:
    folder = marian()
    import_marian(folder, tmp_path / "imported")
    model = transformers.MarianMTModel.from_pretrained(folder).eval()
    tokenizer = transformers.MarianTokenizer.from_pretrained(folder)
    texts = [text for text, _ in PAIRS if len(text) < 40]
    with torch.inference_mode():
        found = model.generate(
            **tokenizer(texts, return_tensors="pt", padding=True),
            num_beams=1,
            max_length=12,
            suppress_tokens=[1],
            begin_suppress_tokens=[0],
            forced_eos_token_id=None,
        )
    greedy = DecodingChanges(beam_size=1, no_repeat_ngram=0, protect=False, guard=False)
    ours = Translator.load(tmp_path / "imported", "cpu").translate(texts, **greedy)
    for ids, translation in zip(found, ours, strict=True):
        theirs = [t for t in tokenizer.convert_ids_to_tokens(ids) if t not in ("<pad>", "</s>")]
        assert theirs == list(translation.tokens[:11])


def test_weights_are_read_from_a_pytorch_file_too(marian: Callable[..., Path], tmp_path: Path) -> None:
    folder = marian()
    import_marian(folder, tmp_path / "first")
    weights = transformers.MarianMTModel.from_pretrained(folder).state_dict()
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    import_marian(folder, tmp_path / "second")
    first, second = (weights_of(load_model(tmp_path / name).model) for name in ("first", "second"))
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("is_joint", [True, False])
def test_an_exported_model_is_the_same_after_import(random_model: Build, tmp_path: Path, is_joint: bool) -> None:
    options = {"norm": "post", "sinusoids": "halves", "activation": "swish", "output_bias": True}
    if is_joint:
        loaded = random_model(**options)
    else:
        separate = Tokenizers.train(PAIRS * 20, TokenizerConfig(vocab_size=298, joint=False), seed=1)
        loaded = random_model(separate, **options, tied_embeddings="target")
    export_to_marian(loaded, tmp_path / "marian", PAIRS[:3])
    import_marian(tmp_path / "marian", tmp_path / "imported")
    again = load_model(tmp_path / "imported")
    assert again.tokenizers.fingerprint == loaded.tokenizers.fingerprint
    before, after = weights_of(loaded.model), weights_of(again.model)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert again.config.model == loaded.config.model
    assert again.config.decoding.length_penalty == loaded.config.decoding.length_penalty


def test_each_side_takes_its_rows_by_its_own_vocabulary(random_model: Build, tmp_path: Path) -> None:
    separate = Tokenizers.train(PAIRS * 20, TokenizerConfig(vocab_size=298, joint=False), seed=1)
    options = {"norm": "post", "sinusoids": "halves", "activation": "swish", "tied_embeddings": "target"}
    loaded = random_model(separate, **options)
    export_to_marian(loaded, tmp_path / "marian", PAIRS[:3])
    vocabulary, path = tmp_path / "marian" / "vocab.json", tmp_path / "marian" / "model.safetensors"
    ids = json.loads(vocabulary.read_text())
    vocabulary.write_text(
        json.dumps({piece: index + (index > 9) for piece, index in ids.items()})
    )  # no piece has id 10
    weights, name = load_file(path), "model.encoder.embed_tokens.weight"
    save_file(weights | {name: torch.cat((weights[name][:10], torch.zeros(1, 32), weights[name][10:]))}, path)
    import_marian(tmp_path / "marian", tmp_path / "imported")
    before, after = (weights_of(model) for model in (loaded.model, load_model(tmp_path / "imported").model))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_training_starts_from_an_imported_model(marian: Callable[..., Path], tmp_path: Path) -> None:
    import_marian(marian(), tmp_path / "imported")
    config = load_model(tmp_path / "imported").config
    with pytest.raises(ConfigError, match=r"data\.train: required for training, and missing\."):
        train(config.model_copy(update={"output": str(tmp_path / "run")}))
    (tmp_path / "train.tsv").write_text("fr\ten\n" + "".join(f"{a}\t{b}\n" for a, b in PAIRS))
    values = config.model_dump(mode="json") | {"output": str(tmp_path / "run")}
    values["data"] |= {"train": [{"file": str(tmp_path / "train.tsv")}], "cache": str(tmp_path / "cache")}
    values["training"] = {"start_from": str(tmp_path / "imported"), "max_steps": 2, "batch_tokens": 200}
    values["training"] |= {"label_smoothing": 0.1, "warmup_steps": 1, "log_every": 1, "learning_rate": 1e-3}
    train(validate(values, "fine-tuning"))
    before, after = (weights_of(load_model(tmp_path / name).model) for name in ("imported", "run"))
    assert not torch.equal(before["output_bias"], after["output_bias"])
    change = max((before[name] - after[name]).abs().max().item() for name in before)
    assert 0 < change < 0.01


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "source.spm", "target.spm", "model.safetensors"])
def test_a_missing_file_is_named_and_nothing_written(marian: Callable[..., Path], tmp_path: Path, name: str) -> None:
    folder = marian()
    (folder / name).unlink()
    with pytest.raises(ExportError, match=rf"A Marian directory must have {name}"):
        import_marian(folder, tmp_path / "imported")
    assert not (tmp_path / "imported").exists()


def test_all_obstacles_are_named_at_once(marian: Callable[..., Path], tmp_path: Path) -> None:
    folder = marian()
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "bart", "activation_function": "tanh", "normalize_before": True, "eos_token_id": [0, 1]}
    (folder / "config.json").write_text(json.dumps(config))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    ids = {index: piece for piece, index in vocabulary.items()}
    vocabulary = {
        (">>fr<<" if index == 5 else "<gone>" if index == 0 else piece): index for index, piece in ids.items()
    }
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ExportError, match=r"cannot be imported") as caught:
        import_marian(folder, tmp_path / "imported")
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "config.json: model_type must be marian. Received: 'bart'.",
        "config.json: activation_function must be one of relu, gelu, swish, silu. Received: 'tanh'.",
        "config.json: normalize_before must be false. Received: true.",
        "config.json: eos_token_id must be one id. Received: [0, 1].",
        "tokenizer_config.json: source_lang is required, and missing.",
        "tokenizer_config.json: target_lang is required, and missing.",
        "vocab.json: language tags are not supported. Received: >>fr<<.",
        "vocab.json: </s> is required, and missing.",
    ]


def test_damaged_files_are_named(marian: Callable[..., Path], tmp_path: Path) -> None:
    folder = marian()
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ExportError, match=r"must be a complete file of tensors\. Received: .*model\.safetensors"):
        import_marian(folder, tmp_path / "imported")
    (folder / "vocab.json").write_text("[]")
    with pytest.raises(ExportError, match=r"vocab\.json must be a JSON object\. Received: \[\]\."):
        import_marian(folder, tmp_path / "imported")
    (folder / "config.json").write_text("{")
    with pytest.raises(ExportError, match=r"config\.json must be JSON\. Received: other data"):
        import_marian(folder, tmp_path / "imported")


def test_positions_that_are_not_sinusoids_and_missing_embeddings_are_refused(
    random_model: Build, tmp_path: Path
) -> None:
    export_to_marian(random_model(norm="post"), tmp_path / "marian", PAIRS[:3])
    path = tmp_path / "marian" / "model.safetensors"
    weights = load_file(path)
    save_file(weights | {"model.encoder.embed_positions.weight": torch.ones(40, 32)}, path)
    with pytest.raises(ExportError, match=r"model\.encoder\.embed_positions must be sinusoids"):
        import_marian(tmp_path / "marian", tmp_path / "imported")
    save_file({name: weight for name, weight in weights.items() if name != "model.shared.weight"}, path)
    with pytest.raises(ExportError, match=r"must have model\.shared\.weight, or embed_tokens of both stacks"):
        import_marian(tmp_path / "marian", tmp_path / "imported")
