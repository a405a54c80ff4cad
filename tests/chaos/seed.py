"""The seed of a run: CHAOS_SEED, or a new one, which is printed."""

from __future__ import annotations

import os
import random

SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
