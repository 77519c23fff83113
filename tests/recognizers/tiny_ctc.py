"""A wav2vec2 with few weights, drawn by chance: it hears nonsense, but the same each time.

Everything but its accuracy can be tested with it. It is written as a checkpoint, so that it
is loaded as every other is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VOCABULARY = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAOINSHRDLU'")
SEED = 5


def write_checkpoint(folder: Path, **changes: Any) -> Path:
    """Write a checkpoint and return its folder; ``changes`` go into its configuration."""
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
    )

    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "conv_dim": (16,) * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 2,
        "feat_extract_norm": "group",
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = Wav2Vec2ForCTC(Wav2Vec2Config(**settings | changes))
        # Weights so small as the initial ones answer the same to everything.
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.data.mul_(4.0)
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(
        json.dumps({token: index for index, token in enumerate(VOCABULARY)})
    )
    Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)
    normalized = settings | changes
    Wav2Vec2FeatureExtractor(
        do_normalize=True, return_attention_mask=normalized["feat_extract_norm"] == "layer"
    ).save_pretrained(folder)
    return folder
