"""The `model` section: architecture and sizes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from translator.config.section import Layers, Number, OneOrSeveral, PositiveInt, Probability, Section, Width

Architecture = Literal["encoder_decoder", "encoder_only", "decoder_only"]


class ModelConfig(Section):
    """The Transformer (Vaswani et al., 2017) and its common variants.

    Attributes:
        architecture: encoder and decoder, encoder only, or decoder only.
        d_model: width of the hidden states.
        d_ff: inner width of the feed-forward network.
        encoder_layers: number of encoder layers; without meaning for a decoder-only model.
        decoder_layers: number of decoder layers; without meaning for an encoder-only model.
        encoder_heads: number of attention heads of the encoder, as one number or one number per layer.
        decoder_heads: number of attention heads of the decoder, as one number or one number per layer.
        norm: layer norm before each sublayer (`pre`) or after its residual connection (`post`).
        final_norm: layer norm after the last layer of each stack; by default with pre-norm only.
        positions: positional encoding.
        sinusoids: layout of sinusoidal positions: sine and cosine alternate (`interleaved`, as in the paper) or fill
            one half each (`halves`, as in Marian).
        max_positions: maximum sequence length in tokens; longer input is split before translation. In a decoder-only
            model source and target share one sequence.
        activation: activation of the feed-forward network.
        tied_embeddings: share one matrix between source embedding, target embedding and output (`all`), between target
            embedding and output (`target`), or not at all (`none`).
        output_bias: add a bias to the logits, as Marian does; for an encoder-decoder model.
        dropout: dropout rate after each sublayer and on embeddings.
        attention_dropout: dropout rate on attention weights.
        activation_dropout: dropout rate inside the feed-forward network.
        alignment_layer: layer of the decoder, from 1, whose cross-attention gives word alignments; by default the last.
        alignment_head: head of that layer, from 1, that gives word alignments; by default the mean over its heads.
            `training.guided_alignment_weight` trains this head for it.
        source_vectors: word2vec text file (.vec) from which the source embedding is initialized.
        target_vectors: word2vec text file (.vec) from which the target embedding is initialized.
        attention: attention backend of training; `auto` chooses by device. Decoding uses `auto` on a device that the
            backend does not support.
    """

    architecture: Architecture = "encoder_decoder"
    d_model: Width = 512
    d_ff: Width = 2048
    encoder_layers: Layers = 6
    decoder_layers: Layers = 6
    encoder_heads: OneOrSeveral = 8
    decoder_heads: OneOrSeveral = 8
    norm: Literal["pre", "post"] = "pre"
    final_norm: bool | None = None
    positions: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    sinusoids: Literal["interleaved", "halves"] = "interleaved"
    max_positions: Annotated[int, Number, Field(ge=8, le=2**20)] = 512
    activation: Literal["relu", "gelu", "swish", "swiglu"] = "relu"
    tied_embeddings: Literal["all", "target", "none"] = "all"
    output_bias: bool = False
    dropout: Probability = 0.1
    attention_dropout: Probability = 0.0
    activation_dropout: Probability = 0.0
    alignment_layer: PositiveInt | None = None
    alignment_head: PositiveInt | None = None
    source_vectors: str | None = None
    target_vectors: str | None = None
    attention: Literal["auto", "triton", "sdpa", "reference"] = "auto"

    @model_validator(mode="after")
    def _heads_fit(self) -> ModelConfig:
        problems = []
        for stack, heads, depth in (
            ("encoder", self.encoder_heads, self.encoder_layers),
            ("decoder", self.decoder_heads, self.decoder_layers),
        ):
            if isinstance(heads, tuple) and len(heads) != depth:
                problems.append(
                    f"{stack}_heads must be one number or one per layer. "
                    f"Received: {len(heads)} numbers for {stack}_layers={depth}."
                )
            for number in sorted(set(heads if isinstance(heads, tuple) else (heads,))):
                if self.d_model % number:
                    problems.append(
                        f"d_model must be divisible by {stack}_heads. Received: d_model={self.d_model}, heads={number}."
                    )
                elif self.positions == "rotary" and (self.d_model // number) % 2:
                    problems.append(
                        f"rotary positions require an even head size. Received: d_model={self.d_model}, heads={number}."
                    )
        if self.output_bias and self.architecture != "encoder_decoder":
            problems.append(f"output_bias requires architecture: encoder_decoder. Received: {self.architecture}.")
        if self.positions == "sinusoidal" and self.d_model % 2:
            problems.append(f"sinusoidal positions require an even d_model. Received: {self.d_model}.")
        if self.tied_embeddings == "all" and self.source_vectors and self.target_vectors:
            problems.append("tied_embeddings: all allows only one of source_vectors and target_vectors. Remove one.")
        problems += self._alignment_problems()
        if problems:
            raise ValueError(" ".join(problems))
        return self

    @property
    def names_alignment(self) -> bool:
        """True if the configuration gives the layer or the head of word alignments; null counts as given."""
        return not self.model_fields_set.isdisjoint(("alignment_layer", "alignment_head"))

    def _alignment_problems(self) -> list[str]:
        """Return the reasons that no word alignment can be read from the given layer and head."""
        layer = self.decoder_layers if self.alignment_layer is None else self.alignment_layer
        given = [key for key in ("alignment_layer", "alignment_head") if getattr(self, key) is not None]
        if given and self.architecture != "encoder_decoder":
            return [
                f"{' and '.join(given)}: a word alignment requires cross-attention, architecture: encoder_decoder. "
                f"Received: {self.architecture}."
            ]
        if layer > self.decoder_layers:
            return [
                "alignment_layer must be at most decoder_layers. "
                f"Received: alignment_layer={layer}, decoder_layers={self.decoder_layers}."
            ]
        heads = self.decoder_heads
        count = heads if isinstance(heads, int) else heads[min(layer, len(heads)) - 1]
        if self.alignment_head is not None and self.alignment_head > count:
            return [
                f"alignment_head must be at most the heads of layer {layer} of the decoder, {count}. "
                f"Received: {self.alignment_head}."
            ]
        return []
