"""The streaming speech recognition server."""

import os

# Before numpy is loaded: its matrix products are small, and the threads that OpenBLAS
# starts for them spin beside the decoding threads, at half as much again of the CPU.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Before torch and ctranslate2 are loaded: for each length of audio oneDNN compiles what computes it
# and keeps 1 024 of those. Audio has any length, so they are hardly used again: a small
# wav2vec2 held 1 055 MB with all of them and 493 MB with 64, and was as fast. The other is torch's
# own, of what it computes in bf16: 30 lengths took 52 MB, however few oneDNN kept.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
