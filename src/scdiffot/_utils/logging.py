"""The logger of the package: `logging.getLogger("scdiffot")` sets its level and its handlers."""

from __future__ import annotations

import logging

logger = logging.getLogger("scdiffot")
