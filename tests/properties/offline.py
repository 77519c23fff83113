"""What the same models give offline, by the libraries' own interfaces alone.

Nothing of the recognizers but the place of the weights is used here: each function takes the
window that a final heard, and answers with the text that the plain library gives for that audio
and that forced prefix.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from service.core.hypothesis import SAMPLE_RATE_HZ, Samples, Window

OfflineText = Callable[[Window], str]

CONTEXT_S = 2.0
"""What CTC finals hear before their segment, by default, at most: so much that the window is a
multiple of GRID_S long."""
GRID_S = 0.5


def ctc_text(folder: Path) -> OfflineText:
    """AutoModelForCTC over context and segment; letters that begin in the segment are kept."""
    import torch
    from transformers import AutoModelForCTC, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForCTC.from_pretrained(folder, dtype="float32").eval()
    frame_samples = model.config.inputs_to_logits_ratio

    def text(window: Window) -> str:
        before = _context_audio(window)
        most = len(window.samples) + min(len(before), round(CONTEXT_S * SAMPLE_RATE_HZ))
        heard = most - most % round(GRID_S * SAMPLE_RATE_HZ)
        before = before[len(before) - max(0, heard - len(window.samples)) :]
        frames = round(len(before) / frame_samples)
        audio = np.concatenate([before, window.samples])
        inputs = processor(audio, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        with torch.inference_mode():
            path = model(**inputs).logits.argmax(dim=-1)[0]
        letters = processor.tokenizer.decode(path, output_char_offsets=True)["char_offsets"]
        kept = (letter["char"] for letter in letters if letter["start_offset"] >= frames)
        return " ".join("".join(kept).split())

    return text


def seq2seq_text(folder: Path) -> OfflineText:
    """``generate`` of transformers, going on from the context's text."""
    import torch
    from transformers import AutoModelForSpeechSeq2Seq, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForSpeechSeq2Seq.from_pretrained(folder, dtype="float32").eval()
    start = "<|startoftranscript|><|notimestamps|>"

    def text(window: Window) -> str:
        audio = np.concatenate([_context_audio(window), window.samples])
        features = processor(audio, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        prompt = processor.tokenizer(
            start + _prefix(window), add_special_tokens=False, return_tensors="pt"
        ).input_ids
        with torch.inference_mode():
            written = model.generate(
                features.input_features, decoder_input_ids=prompt, num_beams=1, do_sample=False
            )
        # Newer versions leave the prompt out of what they return, older ones do not.
        answer = written[0].tolist()
        if answer[: prompt.shape[1]] == prompt[0].tolist():
            answer = answer[prompt.shape[1] :]
        return " ".join(processor.tokenizer.decode(answer, skip_special_tokens=True).split())

    return text


def whisper_text() -> OfflineText:
    """``transcribe`` of faster-whisper, greedy, with the context's text as its prefix.

    It always hears 30 s, the recognizer less behind context: of clear speech the same.
    """
    model = _faster_whisper()

    def text(window: Window) -> str:
        prefix = _prefix(window).strip()
        segments, _ = model.transcribe(
            np.concatenate([_context_audio(window), window.samples]),
            language="en",
            beam_size=1,
            temperature=0.0,
            prefix=prefix or None,
            without_timestamps=True,
            condition_on_previous_text=False,
            no_speech_threshold=None,
        )
        written = " ".join(" ".join(segment.text for segment in segments).split())
        assert written.startswith(prefix)
        return written.removeprefix(prefix).strip()

    return text


@cache
def _faster_whisper() -> object:
    import faster_whisper

    from service.recognizers.whisper_folder import bundled_folder

    return faster_whisper.WhisperModel(
        str(bundled_folder()), device="cpu", compute_type="int8", cpu_threads=1
    )


def _context_audio(window: Window) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *(part.samples for part in window.context)])


def _prefix(window: Window) -> str:
    return "".join(f" {part.text}" for part in window.context if part.text)
