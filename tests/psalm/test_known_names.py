from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from psalm.known_names import KnownNames

KNOWN = KnownNames(("nucleus", "traffic light", "boots", "t-shirt", "person", "bacterium", "leaf", "berry", "bus"))


@pytest.mark.parametrize(
    "name",
    ["nucleus", "Nuclei", " Traffic  lights ", "boot", "T shirt", "t_shirts", "people", "bacteria", "leaves"],
)
def test_case_hyphens_and_number_do_not_matter(name: str) -> None:
    assert KNOWN.knows(name)


@pytest.mark.parametrize("name", ["light", "bu", "shirt", "", "nuclear", "unicorn"])
def test_other_names_are_unknown(name: str) -> None:
    assert not KNOWN.knows(name)


def test_a_warning_tells_the_names_and_what_comes_close() -> None:
    message = KNOWN.warning(["person", "personn", "street light", "unicorn", "dragon"])
    assert "not trained on personn, street light, unicorn and 1 more:" in message
    assert "It knows person, traffic light." in message
    assert KNOWN.warning(["people", "bus"]) == ""


def test_without_a_list_every_name_counts_as_known() -> None:
    assert KnownNames().unknown(["unicorn"]) == ()
    assert KnownNames.from_info({"names": "cell"}) == KnownNames()


def test_names_of_a_folder_and_of_the_shipped_model(tmp_path: Path) -> None:
    assert KnownNames.of_model(tmp_path / "nothing").names == ()
    (tmp_path / "config.json").write_text("{}")
    for text in ("[1]", "{", '{"names": 3}'):
        (tmp_path / "info.json").write_text(text)
        assert KnownNames.of_model(tmp_path).names == ()
    (tmp_path / "info.json").write_text(json.dumps({"names": ["cell"]}))
    assert KnownNames.of_model(tmp_path).names == ("cell",)
    assert KnownNames.of_model("psalm-tiny").knows("nuclei")


def test_names_are_read_without_torch() -> None:
    code = "import sys; from psalm.known_names import KnownNames; KnownNames.of_model('psalm-tiny')\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "print('torch' in sys.modules)"], capture_output=True, text=True
    )
    assert done.stdout.strip() == "False", done.stderr
