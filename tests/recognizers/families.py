"""A tiny checkpoint of each family of models, its weights drawn by chance.

Most draws write no words, or one for ever. Seeds and scales here are those of several that
gave texts of enough words to compare; whether they compare well had no part in the choice.

Feature extractors and tokenizers are the families' own, so that everything but accuracy is
as it is with the published models. Each is written as a checkpoint and loaded as others are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.recognizers.tiny_ctc import VOCABULARY, write_checkpoint

SEED = 5
HUBERT_SEED = 6
DELIMITER = VOCABULARY.index("|")
DELIMITER_FACTOR = 3.0
"""More words than chance would make of so few letters."""
TEXTS = (
    "turn off the light in the kitchen",
    "the bakery on the corner sells warm bread every morning",
    "it rained all night and the river rose",
)
LANGUAGES = {"eng": VOCABULARY, "deu": (*VOCABULARY, *"ÄÖÜß")}
"""Of the MMS-like checkpoint: vocabularies of different sizes."""

CONVOLUTIONS = {"conv_dim": (32,) * 7}
"""The strides of all these families are wav2vec2's own, 320 samples together."""
SMALL = {
    "vocab_size": len(VOCABULARY),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
POSITIONS = {"num_conv_pos_embeddings": 64, "num_conv_pos_embedding_groups": 2}


def write_wav2vec2_like(name: str, folder: Path, seed: int = SEED, **changes: Any) -> Path:
    """A family that hears the waveform and has wav2vec2's extractor and tokenizer."""
    import transformers

    config_class = getattr(transformers, f"{name}Config")
    model_class = getattr(transformers, f"{name}ForCTC")
    config = config_class(**(SMALL | CONVOLUTIONS | POSITIONS | changes))
    _save(model_class, config, folder, seed=seed)
    norm = changes.get("feat_extract_norm", "group")
    _save_characters(folder)
    transformers.Wav2Vec2FeatureExtractor(
        do_normalize=True, return_attention_mask=norm == "layer"
    ).save_pretrained(folder)
    return folder


def write_wav2vec2_bert(folder: Path) -> Path:
    """Wav2Vec2-BERT hears mel features, two frames of 10 ms at a time."""
    import transformers

    config = transformers.Wav2Vec2BertConfig(**SMALL, add_adapter=False)
    _save(transformers.Wav2Vec2BertForCTC, config, folder)
    _save_characters(folder)
    transformers.SeamlessM4TFeatureExtractor().save_pretrained(folder)
    return folder


def write_parakeet(folder: Path) -> Path:
    """Parakeet hears mel features, answers each 80 ms, and writes pieces of words."""
    import transformers

    tokenizer = _pieces()
    vocabulary = tokenizer.get_vocab_size()
    config = transformers.ParakeetCTCConfig(
        vocab_size=vocabulary + 1,
        pad_token_id=vocabulary,
        encoder_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 64,
            "subsampling_conv_channels": 16,
            "num_mel_bins": 80,
        },
    )
    _save(transformers.ParakeetForCTC, config, folder, factor=20, seed=1)
    transformers.ParakeetTokenizer(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
    transformers.ParakeetFeatureExtractor().save_pretrained(folder)
    return folder


def write_mms(folder: Path) -> Path:
    """MMS: wav2vec2 with a few weights, a head and a vocabulary for each language."""
    import torch
    import transformers
    from safetensors.torch import save_file

    write_checkpoint(folder, feat_extract_norm="layer", adapter_attn_dim=16)
    for seed, (language, vocabulary) in enumerate(LANGUAGES.items()):
        model = transformers.Wav2Vec2ForCTC.from_pretrained(folder)
        model.lm_head = torch.nn.Linear(SMALL["hidden_size"], len(vocabulary))
        generator = torch.Generator().manual_seed(seed)
        weights = {
            name: torch.randn(weight.shape, generator=generator)
            for name, weight in model._get_adapters().items()
        }
        weights["lm_head.weight"][DELIMITER] *= DELIMITER_FACTOR
        save_file(weights, folder / f"adapter.{language}.safetensors", {"format": "pt"})
    nested = {
        language: {token: index for index, token in enumerate(vocabulary)}
        for language, vocabulary in LANGUAGES.items()
    }
    (folder / "vocab.json").write_text(json.dumps(nested), encoding="utf-8")
    for name in ("tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)
    transformers.Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"), target_lang="eng"
    ).save_pretrained(folder)
    return folder


CTC: Mapping[str, Callable[[Path], Path]] = {
    "wav2vec2": write_checkpoint,
    "wav2vec2 layer norm": lambda folder: write_checkpoint(folder, feat_extract_norm="layer"),
    "hubert": lambda folder: write_wav2vec2_like("Hubert", folder, seed=HUBERT_SEED),
    "hubert layer norm": lambda folder: write_wav2vec2_like(
        "Hubert", folder, seed=HUBERT_SEED, feat_extract_norm="layer", do_stable_layer_norm=True
    ),
    "wavlm": lambda folder: write_wav2vec2_like("WavLM", folder),
    "wav2vec2-conformer": lambda folder: write_wav2vec2_like("Wav2Vec2Conformer", folder),
    "unispeech": lambda folder: write_wav2vec2_like(
        "UniSpeech", folder, num_ctc_classes=len(VOCABULARY)
    ),
    "unispeech-sat": lambda folder: write_wav2vec2_like(
        "UniSpeechSat", folder, num_clusters=len(VOCABULARY)
    ),
    "data2vec-audio": lambda folder: write_wav2vec2_like("Data2VecAudio", folder),
    "sew": lambda folder: write_wav2vec2_like(
        "SEW",
        folder,
        conv_dim=(32,) * 13,
        conv_stride=(5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1),
        conv_kernel=(10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1),
        squeeze_factor=2,
        seed=1,
    ),
    "wav2vec2-bert": write_wav2vec2_bert,
    "parakeet": write_parakeet,
    "mms": write_mms,
}


def write_moonshine(folder: Path) -> Path:
    """Moonshine hears the waveform and writes pieces of words."""
    import transformers

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=_pieces(), bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    config = transformers.MoonshineConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        encoder_num_hidden_layers=2,
        decoder_num_hidden_layers=2,
        encoder_num_attention_heads=2,
        decoder_num_attention_heads=2,
        decoder_start_token_id=tokenizer.bos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    _save(transformers.MoonshineForConditionalGeneration, config, folder, factor=20, seed=2)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_speech_to_text(folder: Path) -> Path:
    """Speech2Text hears Kaldi's features and writes pieces of SentencePiece."""
    import sentencepiece
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 20),
        model_prefix=str(folder / "pieces"),
        vocab_size=40,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "pieces.model"))
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    names += [piece for at in range(len(pieces)) if (piece := pieces.id_to_piece(at)) not in names]
    (folder / "vocab.json").write_text(json.dumps({name: at for at, name in enumerate(names)}))
    tokenizer = transformers.Speech2TextTokenizer(
        str(folder / "vocab.json"), str(folder / "pieces.model")
    )
    tokenizer.save_pretrained(folder)
    config = transformers.Speech2TextConfig(
        vocab_size=len(names),
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        conv_channels=32,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )
    # With most seeds its finals are loops, of which one turn is left: too few words.
    _save(transformers.Speech2TextForConditionalGeneration, config, folder, factor=20, seed=3)
    transformers.Speech2TextFeatureExtractor().save_pretrained(folder)
    return folder


def write_distil_whisper(folder: Path) -> Path:
    """Whisper whose decoder has fewer layers than its encoder, as Distil-Whisper's has.

    Extractor, tokenizer and the settings of ``generate`` are tiny.en's.
    """
    import transformers

    from tests.recognizers.mapped_whisper import checkpoint

    config = transformers.WhisperConfig.from_pretrained(
        checkpoint(),
        d_model=32,
        encoder_layers=4,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
    )
    _save(transformers.WhisperForConditionalGeneration, config, folder, factor=80, seed=2)
    settings = transformers.GenerationConfig.from_pretrained(checkpoint())
    settings.alignment_heads = [[0, 0], [1, 1]]
    # Trained weights never write a timestamp where none is asked for; these would.
    first_timestamp = settings.no_timestamps_token_id + 1
    settings.suppress_tokens += range(first_timestamp, config.vocab_size)
    settings.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).write_bytes((checkpoint() / name).read_bytes())
    return folder


SEQ2SEQ: Mapping[str, Callable[[Path], Path]] = {
    "moonshine": write_moonshine,
    "speech_to_text": write_speech_to_text,
    "distil-whisper": write_distil_whisper,
}


def _save(
    model_class: Any, config: Any, folder: Path, factor: float = 4.0, seed: int = SEED
) -> None:
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(config)
        # Weights so small as the initial ones answer the same to everything.
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.data.mul_(factor)
        if config.vocab_size == len(VOCABULARY):
            model.lm_head.weight.data[DELIMITER] *= DELIMITER_FACTOR
    model.save_pretrained(folder)


def _save_characters(folder: Path) -> None:
    import transformers

    vocabulary = {token: index for index, token in enumerate(VOCABULARY)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json")).save_pretrained(folder)


def _pieces() -> Any:
    """Pieces of words, the first of each marked as SentencePiece marks it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=80, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer
