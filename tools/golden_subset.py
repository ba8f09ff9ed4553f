"""Cut the recorded numbers of the published code down to what the repository keeps in tests/golden."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

# What each file may lose: the auxiliary masks, and images that stand in files of their own.
CASES = {
    "a_panoptic_3cls": None,
    "a_semantic_3cls": r"aux.*|pred_masks",
    "c_referring_short": r"aux.*masks",
    "e_interactive_point": r"aux.*masks|gt_.*|post_gt",
    "l_video_step1": r"aux.*masks|gt_.*|post_gt",
}
STEPS = {"train_referring": r"images|.*pred_masks|region_masks.*", "lm_conversation": "images"}
IMAGES = {"A": None, "B": r"(?!image$).*", "D2": r"(?!image$).*"}
WHOLE = ("tiny_config.json", "tiny_official.safetensors", "full_state_dict.json", "real_tokenizer_prompts.json")


def cut(source: Path, target: Path, dropped: str | None) -> None:
    """Copy a file without the tensors whose whole name `dropped` matches."""
    target.parent.mkdir(parents=True, exist_ok=True)
    tensors = load_file(source)
    save_file({k: v for k, v in tensors.items() if not (dropped and re.fullmatch(dropped, k))}, target)


def main(source: Path, target: Path) -> None:
    """Write the subset of the folder `source` to `target`."""
    target.mkdir(parents=True, exist_ok=True)
    for name in WHOLE:
        (target / name).write_bytes((source / name).read_bytes())
    for image, dropped in IMAGES.items():
        cut(source / f"img_{image}.safetensors", target / f"img_{image}.safetensors", dropped)
    for kind, chosen in (("cases", CASES), ("train", STEPS)):
        facts = json.loads((source / f"{kind}.json").read_text())
        kept = json.dumps({name: facts[name] for name in chosen}, indent=1)
        (target / f"{kind}.json").write_text(kept + "\n")
        for name, dropped in chosen.items():
            cut(source / kind / f"{name}.safetensors", target / kind / f"{name}.safetensors", dropped)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
