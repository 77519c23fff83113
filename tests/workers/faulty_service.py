"""The service with workers that fail on certain words; for tests.

python -m tests.workers.faulty_service OPTION…   as python -m service
"""

from __future__ import annotations

import sys

from service.app import main
from tests.workers.pools import faulty_workers

if __name__ == "__main__":
    with faulty_workers():
        sys.exit(main(sys.argv[1:]))
