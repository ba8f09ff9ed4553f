"""Write MobileSAM as a model folder, so that the commands that measure psalm-tiny measure it on the same images.

    python benchmarks/mobile_sam.py runs/mobile-sam.safetensors runs/mobile-sam
    psalm evaluate --model runs/mobile-sam --images IMAGES --annotations FILE.json --task interactive --prompt box

`tools/mobile_sam_weights.py` makes the file of weights. MobileSAM sees its own 1024 pixels and answers clicks,
scribbles, boxes and masks with the draft that is best by its own estimate. Words mean nothing to it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from psalm.checkpoint import load_model, save_model
from psalm.modeling.psalm import PSALM
from psalm.weight_files import read_weights

SIDE = 1024


def main() -> None:
    """Read, fill in, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path, help="a folder that does not exist yet")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"{arguments.out} exists: name another folder, or remove it.")
    tiny = load_model("psalm-tiny", device="cpu")
    model = PSALM(replace(tiny.config, name="mobile-sam", image_size=SIDE, semantic_backbone=""))
    missing = model.load_state_dict(read_weights(arguments.weights), strict=False).missing_keys
    drawing = ("backbone", "mask_generator.neck", "mask_generator.decoder", "mask_generator.prior_encoder")
    if left_out := [key for key in missing if key.startswith(drawing)]:
        parser.error(f"{arguments.weights} lacks {left_out[0]}: make it with tools/mobile_sam_weights.py.")
    info = {"name": "mobile-sam", "version": "1", "licence": "Apache-2.0", "initial_weights": "MobileSAM", "names": []}
    save_model(arguments.out, model, tiny.tokenizer, info)


if __name__ == "__main__":
    main()
