"""The modules beside this file are found by name, as they are where `make bench` runs one as a script."""

from __future__ import annotations

import sys
from pathlib import Path

if str(Path(__file__).parent) not in sys.path:
    sys.path.append(str(Path(__file__).parent))
