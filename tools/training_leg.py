"""Train for some minutes on a machine that takes little and gives little back.

    python tools/training_leg.py wheels --out .leg --need timm pycocotools
    python tools/training_leg.py pack --out .leg --config configs/psalm-tiny-leg.yaml --init psalm-tiny
    python tools/training_leg.py run --leg .leg --out results --minutes 8
    python tools/training_leg.py join results --out runs/psalm-tiny-leg/model

docs/training-leg.md says more.
"""

from __future__ import annotations

import sys
from pathlib import Path

# psalm need not be installed where a leg runs.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.leg.command import main

if __name__ == "__main__":
    main()
