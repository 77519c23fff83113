"""Makes the small DeepSpeech model as large as the published one, to measure with.

    VENV/bin/python -m scripts.enlarge_deepspeech OUT.pb [--cells 2048]

in the environment of ``scripts.train_small_deepspeech``. The cells of the small model stay as they
are, and those that are added hear them and each other by random weights, but are not heard by
them. So each step costs what it costs in the published model (2 048 cells), while the
probabilities are the small model's, and with them what the search has to do.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from scripts import deepspeech_graph as graph

SMALL: Final = (
    Path(__file__).resolve().parent.parent / "tests/recognizers/small_deepspeech/model.pb"
)
GATES: Final = 4
SEED: Final = 1

Matrix = NDArray[np.float32]


def read_weights(path: Path) -> dict[str, Matrix]:
    """Return the weights of a model file that ``deepspeech_graph.export`` wrote."""
    definition = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    return {
        node.name: tf.make_ndarray(node.attr["value"].tensor)
        for node in definition.node
        if node.op == "Const" and node.name.endswith(("/weights", "/bias"))
    }


def enlarged(small: dict[str, Matrix], cells: int) -> dict[str, Matrix]:
    """Return weights for so many cells of each layer that give the small model's logits."""
    large = graph.new_weights(cells, SEED)
    few = len(small["layer_2/bias"])
    if cells < few:
        raise ValueError(f"the small model has {few} cells, and {cells} are fewer")
    for name, matrix in small.items():
        if name.startswith("lstm/"):
            # Columns by gate; rows, where there are any, of the layer below and of itself.
            into = large[name].reshape(-1, GATES, cells)
            piece = matrix.reshape(-1, GATES, few)
            for gate in range(GATES):
                _put(piece[:, gate], into[:, gate], (few, cells))
        elif matrix.ndim == 1:
            large[name][: len(matrix)] = matrix
        else:
            _put(matrix, large[name], (few, cells))
    return large


def _put(small: Matrix, large: Matrix, cells: tuple[int, int]) -> None:
    """Put a matrix into a larger one, so that its columns hear its own rows alone.

    The rows are one input or several of so many cells, or the model's own input.
    """
    few, many = cells
    width = small.shape[1]
    if len(small) == len(large):
        large[:, :width] = small
        return
    large[:, :width] = 0
    for index in range(len(small) // few):
        large[index * many : index * many + few, :width] = small[index * few : (index + 1) * few]


def main() -> None:
    """Write the model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="model file, .pb")
    parser.add_argument("--cells", type=int, default=2_048, help="of each layer")
    arguments = parser.parse_args()
    graph.export(enlarged(read_weights(SMALL), arguments.cells), arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
