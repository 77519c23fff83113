"""The reader of CTranslate2's files, with the bundled one and with conversions of it."""

from __future__ import annotations

import numpy as np
import pytest

from service.recognizers.whisper_folder import bundled_folder
from service.recognizers.whisper_weights import mapped_rows, read_tensors


def _encoder(folder):
    return read_tensors(folder / "model.bin", lambda name: name.startswith("encoder/"))


def test_only_what_is_wanted_is_read():
    """The bundled encoder: 384 wide, four layers, and nothing of the decoder."""
    tensors = _encoder(bundled_folder())
    assert all(name.startswith("encoder/") for name in tensors)
    assert tensors["encoder/position_encodings/encodings"].shape == (1500, 384)
    assert "encoder/layer_3/ffn/linear_0/weight" in tensors
    assert int(tensors["encoder/num_heads"]) == 6


@pytest.mark.parametrize(
    ("quantization", "most"), [("int8", 0.02), ("int16", 0.001), ("bfloat16", 0.01)]
)
def test_other_formats_are_the_same_weights(tmp_path, quantization, most):
    """However a folder was converted, its weights are what they were, as nearly as that allows."""
    pytest.importorskip("torch", reason="the extra 'transformers' is not installed")
    from ctranslate2.converters import TransformersConverter

    from tests.recognizers.mapped_whisper import checkpoint

    converted = tmp_path / "converted"
    TransformersConverter(str(checkpoint())).convert(str(converted), quantization=quantization)
    expected, found = _encoder(bundled_folder()), _encoder(converted)
    assert set(expected) <= set(found)
    for name, values in expected.items():
        difference = np.abs(found[name].astype(np.float32) - values.astype(np.float32)).max()
        assert difference <= most * max(1e-6, np.abs(values.astype(np.float32)).max()), name
    _assert_rows_are_the_tensors(converted)


def test_rows_are_read_where_they_lie():
    """A tensor of which few rows are wanted stays in its file; what is read of it is the same."""
    _assert_rows_are_the_tensors(bundled_folder())


def _assert_rows_are_the_tensors(folder):
    name, wanted = "decoder/embeddings/weight", [0, 51_863, 220, 220]
    whole = read_tensors(folder / "model.bin", lambda other: other == name)[name]
    rows = mapped_rows(folder / "model.bin", name)(wanted)
    assert rows.dtype == np.float32
    assert np.array_equal(rows, whole[wanted])


@pytest.mark.parametrize(
    "content", [b"", b"no model at all", b"\xff\xff\xff\xff" * 8], ids=["empty", "text", "version"]
)
def test_what_is_no_model_is_said_so(tmp_path, content):
    """A damaged file is a sentence and no struct.error."""
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"format|empty file"):
        read_tensors(path)
