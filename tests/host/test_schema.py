"""What other people's saved graphs rely on: ids, inputs, outputs and their order. `schema.json` is the record.

A graph that is saved today must load tomorrow. What is changed or removed on purpose is recorded anew with
`MICROCINEMA_RECORD_SCHEMA=1`, and told in CHANGELOG.md.
"""

import json
import os
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).with_name("schema.json")
OPTIONS = ("default", "min", "max", "step", "advanced", "optional")
OF_THE_HOST = ("sampler_name", "scheduler", "file", "taught")  # lists that grow with ComfyUI or with the user's files


def snapshot(nodes: dict[str, Any]) -> dict[str, Any]:
    ours = {name: node for name, node in nodes.items() if node["python_module"] == "custom_nodes.microcinema"}
    return {name: described(node) for name, node in sorted(ours.items())}


def described(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "display_name": node["display_name"],
        "inputs": {group: inputs_of(given) for group, given in node["input"].items()},
        "order": node["input_order"],
        "outputs": [list(pair) for pair in zip(node["output_name"], node["output"], strict=True)],
    }


def inputs_of(given: dict[str, Any]) -> dict[str, Any]:
    """Each input's type, its limits, and of a dynamic one what each choice brings."""
    found: dict[str, Any] = {}
    for name, (kind, *rest) in given.items():
        options = rest[0] if rest else {}
        kept = {option: options[option] for option in OPTIONS if option in options}
        choices = options.get("options", [])
        if choices and isinstance(choices[0], dict):
            inner = {choice["key"]: choice["inputs"] for choice in choices}
            kept["choices"] = {key: {g: inputs_of(i) for g, i in of.items()} for key, of in inner.items()}
        elif choices and name not in OF_THE_HOST:
            kept["choices"] = choices
        found[name] = {"type": kind, **kept}
    return found


def test_no_input_or_output_has_changed(comfy: Any) -> None:
    found = snapshot(comfy.object_info())
    if os.environ.get("MICROCINEMA_RECORD_SCHEMA"):
        SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8", newline="\n")
    assert found == json.loads(SNAPSHOT.read_text(encoding="utf-8"))
