"""From a model spec to Whisper on this machine, or a sentence that helps."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Final

import faster_whisper
import numpy as np
import tokenizers

from service.core.hypothesis import SAMPLE_RATE_HZ
from service.recognizers.base import ModelUnavailableError
from service.recognizers.whisper_decoder import Decoder, Signs
from service.recognizers.whisper_encoder import Encoder
from service.recognizers.whisper_folder import model_folder
from service.recognizers.whisper_model import WIDE_BEAM_SIZE, Prompt, WhisperModel
from service.recognizers.whisper_options import WhisperOptions
from service.recognizers.whisper_segments import SegmentEncoder, WindowEncoder
from service.recognizers.whisper_states import StatesEncoder
from service.recognizers.whisper_weights import mapped_rows, read_tensors

EMBEDDINGS: Final = "decoder/embeddings/weight"
SMALL_ENCODER_BYTES: Final = 400 << 20
"""Of weights in 32 bits, which are held beside CTranslate2's: tiny has 31 MB, small 340 MB."""


def load_parts(
    spec_argument: str, options: WhisperOptions, threads: int, decodes: int
) -> tuple[WhisperModel, SegmentEncoder]:
    """Find, check and load weights, and try them out.

    Raises:
        ModelUnavailableError: says what to install, download or write instead.
    """
    folder = model_folder(spec_argument)
    threads = options.threads or threads
    try:
        loaded = faster_whisper.WhisperModel(
            str(folder),
            device=options.device,
            compute_type=options.compute_type,
            cpu_threads=threads,
            num_workers=decodes,
        )
        encoder, decoder = own_parts(folder, options, threads, loaded.hf_tokenizer)
        model = WhisperModel(loaded, decoder)
        segments = WindowEncoder(model) if encoder is None else StatesEncoder(model, encoder)
        # What CUDA lacks shows at the first computation, and not when it is loaded.
        _try_out(model, segments)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelUnavailableError(load_problem(folder, error)) from error
    if options.language and options.language not in model.languages:
        languages = ", ".join(model.languages)
        raise ModelUnavailableError(
            f"language={options.language!r}: this Whisper model knows {languages}"
        )
    return model, segments


def _try_out(model: WhisperModel, segments: SegmentEncoder) -> None:
    """Decode in the ways that are rare as well.

    What libraries map and compile for a way of decoding they keep. Otherwise memory would grow by
    4 MB at the first beam search, hours after the start, and who was heard then would wait.
    """
    silence = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    language = model.languages[0]
    encoded = segments.behind(silence, (), None).whole
    for beam_size in (1, WIDE_BEAM_SIZE):
        model.decode(encoded, Prompt(language), most_tokens=1, beam_size=beam_size)
    model.align(encoded, language, model.tokens("yes"))


def own_parts(
    folder: Path, options: WhisperOptions, threads: int, vocabulary: tokenizers.Tokenizer
) -> tuple[Encoder | None, Decoder | None]:
    """Load what is computed here and not by CTranslate2: encoder and decoder, or None for each.

    Raises:
        ModelUnavailableError: it is wanted, and cannot be had for this model.
    """
    if options.encoder == "windows" or options.device != "cpu":
        return None, None
    try:
        encoder = own_encoder(folder, threads, math.inf if options.encoder else SMALL_ENCODER_BYTES)
        if encoder is None or options.compute_type != "int8":
            return encoder, None
        return encoder, own_decoder(folder, threads, vocabulary)
    except (ValueError, KeyError, OSError) as error:
        if options.encoder:
            raise ModelUnavailableError(
                f"encoder=states: {error}; leave it out, or write encoder=windows"
            ) from error
        return None, None


def own_encoder(folder: Path, threads: int, most_bytes: float = math.inf) -> Encoder | None:
    """Load the encoder of a model; None if its weights are too large.

    Raises:
        ValueError: they are in a format that is not known here.
        KeyError: they are another architecture's.
    """
    tensors = read_tensors(folder / "model.bin", lambda name: name.startswith("encoder/"))
    size_bytes = sum(np.dtype(np.float32).itemsize * values.size for values in tensors.values())
    return None if size_bytes > most_bytes else Encoder(tensors, threads)


def own_decoder(folder: Path, threads: int, vocabulary: tokenizers.Tokenizer) -> Decoder:
    """Load the decoder of a model.

    Raises:
        ValueError: it is in a format, or of a size, that is not known here.
        KeyError: it is another architecture's.
    """
    weights = folder / "model.bin"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    ids = vocabulary.get_vocab()
    signs = Signs(
        end_of_text=ids["<|endoftext|>"],
        no_speech=ids["<|nospeech|>" if "<|nospeech|>" in ids else "<|nocaptions|>"],
        never=config["suppress_ids"],
        never_first=config["suppress_ids_begin"],
    )
    tensors = read_tensors(weights, lambda name: name.startswith("decoder/") and name != EMBEDDINGS)
    return Decoder(tensors, mapped_rows(weights, EMBEDDINGS), signs, threads)


def load_problem(folder: Path, error: Exception) -> str:
    """Return what to do about an error of CTranslate2, told by the words it uses."""
    said = str(error)
    if "libcu" in said or "cublas" in said:
        return (
            f"CTranslate2 lacks a library of CUDA 12 ({said}); install it, for instance with pip "
            "install nvidia-cublas-cu12, and have LD_LIBRARY_PATH name the folder it lies in"
        )
    if "out of memory" in said:
        return (
            f"{folder} does not fit into the memory of the GPU ({said}); choose a smaller model, "
            "or compute_type=int8_float16"
        )
    return (
        f"{folder} does not hold a Whisper model that CTranslate2 can load ({said}); "
        "download it again, or convert it with ct2-transformers-converter"
    )
