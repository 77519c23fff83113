"""The streaming speech recognition server."""

import os

# Before numpy is loaded: its matrix products are small, and the threads that OpenBLAS
# starts for them spin beside the decoding threads, at half as much again of the CPU.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
