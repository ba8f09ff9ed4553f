"""Put a trained model into the package, with what its users should know.

    python tools/ship_model.py runs/psalm-tiny/model psalm/weights/psalm-tiny --annotations annotations.json

Weights are stored in half precision. ``info.json`` keeps the names that the model was trained with, the thresholds
that were chosen on validation data (``--thresholds``, a JSON object), and the licence; nothing of the machine it was
made on.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import torch

from psalm.checkpoint import load_model, save_model
from psalm.data.fields import FIELD_NAMES
from psalm.data.shapes import SHAPES


def trained_names(annotations: Path, least: int) -> list[str]:
    """Names of the generated scenes, and of the categories with at least `least` training objects."""
    content = json.loads(annotations.read_text(encoding="utf-8"))
    trained = {image["id"] for image in content["images"] if image.get("split", "train") == "train"}
    name_of = {category["id"]: category["name"] for category in content["categories"]}
    counts = Counter(name_of[a["category_id"]] for a in content["annotations"] if a["image_id"] in trained)
    common = {name for name, count in counts.items() if count >= least}
    return sorted(common | set(SHAPES) | set(FIELD_NAMES) | {"coin"})


def main() -> None:
    """Load, describe, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--least", type=int, default=10, help="objects that a name needs to be called known")
    parser.add_argument("--version", default="1")
    parser.add_argument("--thresholds", type=json.loads, default={})
    arguments = parser.parse_args()
    loaded = load_model(str(arguments.source), device="cpu")
    initial = "MobileSAM" + (", EfficientNet-lite0 of ImageNet" if loaded.config.semantic_backbone else "")
    info = {
        "name": loaded.config.name,
        "version": arguments.version,
        "licence": "Apache-2.0",
        "initial_weights": f"{initial} (Apache-2.0)",
        "thresholds": arguments.thresholds,
        "names": trained_names(arguments.annotations, arguments.least),
    }
    save_model(arguments.target, loaded.model, loaded.tokenizer, info, dtype=torch.float16)


if __name__ == "__main__":
    main()
