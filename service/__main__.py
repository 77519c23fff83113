"""python -m service."""

from __future__ import annotations

import sys

from service.app import main

sys.exit(main(sys.argv[1:]))
