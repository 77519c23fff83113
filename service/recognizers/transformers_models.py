"""From a model spec to a recognizer of transformers: CTC or sequence-to-sequence."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from transformers import MODEL_FOR_CTC_MAPPING, MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING

from service.recognizers import transformers_ctc, transformers_seq2seq
from service.recognizers.base import ModelUnavailableError, Recognizer
from service.recognizers.transformers_load import find_folder, read_config
from service.recognizers.transformers_options import parse_options

WAV2VEC2 = "facebook/wav2vec2-base-960h"


def load(spec_argument: str, options: Mapping[str, str], threads: int, _decodes: int) -> Recognizer:
    """Load a model.

    Args:
        spec_argument: OWNER/NAME on huggingface.co, or the path of a folder.
        options: Any of those in ``transformers_options``, by name.
        threads: CPU threads of one decode, if the options do not say.

    Raises:
        ModelUnavailableError: says what to install, download or write instead.
    """
    chosen = parse_options(options)
    folder = find_folder(spec_argument, chosen.weights, chosen.language)
    config = read_config(folder)
    # Before anything is computed: weights that are stored in two parts are multiplied as they are
    # loaded, and a sum over several threads is another in its last bits.
    torch.set_num_threads(chosen.threads or threads)
    if type(config) in MODEL_FOR_CTC_MAPPING:
        language = chosen.language or ("en" if spec_argument == WAV2VEC2 else "")
        return transformers_ctc.load(folder, chosen, language)
    if type(config) in MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING:
        if chosen.batch > 1 or chosen.graphs:
            raise ModelUnavailableError(
                f"transformers:{spec_argument} writes its text token by token, each stream at its "
                "own pace; batch and graphs are for CTC models, leave them out"
            )
        return transformers_seq2seq.load(folder, config.model_type, chosen)
    raise ModelUnavailableError(
        f"transformers:{spec_argument} is a model of the kind {config.model_type}, which does not "
        "recognize speech by CTC nor from sequence to sequence"
    )
