"""The service with workers that fail on certain words, and models that do not load; for tests.

python -m tests.workers.faulty_service OPTION…   as python -m service
"""

from __future__ import annotations

import sys

from service.app import main
from service.recognizers import registry
from tests.workers.faulty_worker import spoiled
from tests.workers.pools import faulty_workers

if __name__ == "__main__":
    registry.load = spoiled(registry.load)
    with faulty_workers():
        sys.exit(main(sys.argv[1:]))
