"""What the nodes say, in English and in the languages of locales/: python tests/host/node_texts.py [zh ja ...]

Prints what each language lacks, what it says of inputs that are no more, and which numbers and words that must stand
in every language have been lost; the exit status is 1 where there is any. `node_texts.json` is the record of the
English. Who adds a node or changes a tooltip records it with MICROCINEMA_RECORD_SCHEMA=1, as test_locales.py says, runs
this, and writes what it names. The page shows the labels of a choice's options, and help pages, in English only.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECORD, SCHEMA = Path(__file__).with_suffix(".json"), Path(__file__).with_name("schema.json")
LOCALES = ROOT / "locales"
LANGUAGES = ("zh", "ja", "ko", "fr", "es", "ru")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:x\d+)?")
TYPED = re.compile(r"`[^`]+`|#rrggbb|\w+/\w+")  # what a user writes as it stands, and paths
NAMES = ("APPEARNET", "AppearNet", "CLIP", "JSON", "KSampler", "LTX", "MODEL", "SamplerCustomAdvanced", "TSR", "Toybox",
         "VAE", "Wan")  # fmt: skip
SYNTAX = set("{}@|")  # of the page's messages: it would not show them as they are
Texts = dict[str, str]  # by place, such as MicroCinemaCamera.inputs.zoom.tooltip


def texts_of(nodes: dict[str, Any]) -> Texts:
    """Every text of the server's list of nodes that the page translates, by its place in a nodeDefs.json."""
    found: Texts = {}
    for node_id, node in sorted(nodes.items()):
        found |= {f"{node_id}.display_name": node["display_name"], f"{node_id}.description": node["description"]}
        told = node.get("output_tooltips") or [None] * len(node["output_name"])
        named = {f"outputs.{i}": pair for i, pair in enumerate(zip(node["output_name"], told, strict=True))}
        for place, (name, tooltip) in [*inputs_of(node["input"]), *named.items()]:
            found[f"{node_id}.{place}.name"] = name
            found |= {f"{node_id}.{place}.tooltip": tooltip} if tooltip else {}
    return found


def inputs_of(groups: dict[str, Any], before: str = "inputs.") -> Iterator[tuple[str, tuple[str, str | None]]]:
    """(place, (name, tooltip)) of inputs, those that choices bring too: the page calls `gamma.value` gamma_value."""
    for given in groups.values():
        for name, (_, *rest) in given.items():
            options = rest[0] if rest else {}
            yield before + name, (name, options.get("tooltip"))
            for choice in options.get("options", []):
                if isinstance(choice, dict):
                    yield from inputs_of(choice["inputs"], f"{before}{name}_")


def flat(tree: dict[str, Any], before: str = "") -> Texts:
    """A nodeDefs.json by place."""
    found: Texts = {}
    for key, value in tree.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def options_of(schema: dict[str, Any]) -> dict[str, list[str]]:
    """The option words of each input, by the place of its tooltip."""
    return {
        f"{node_id}.inputs.{name}.tooltip": list(given.get("choices", []))
        for node_id, node in schema.items()
        for group in node["inputs"].values()
        for name, given in group.items()
    }


def problems(language: str) -> list[str]:
    """A line for each text that this language lacks, has too many, or has wrong."""
    english, options = flat(read_json(RECORD)), options_of(read_json(SCHEMA))
    texts = flat(read_json(LOCALES / language / "nodeDefs.json"))
    found = [f"{place}: missing: {english[place]}" for place in english.keys() - texts.keys()]
    found += [f"{place}: of nothing that there is: {texts[place]}" for place in texts.keys() - english.keys()]
    titles = {english[p]: texts.get(p, "") for p in english if p.endswith(".display_name")}
    for place in english.keys() & texts.keys():
        said, text = english[place], texts[place]
        if not isinstance(text, str) or not text.strip() or SYNTAX & set(text):
            found.append(f"{place}: no text that the page can show: {text!r}")
            continue
        if place.endswith((".tooltip", ".description")):
            found += [f"{place}: {lost!r} is not in: {text}" for lost in lost_from(said, text, options.get(place, []))]
            found += [
                f"{place}: names {titles[t]!r} not: {text}" for t in titles if t in said and titles[t] not in text
            ]
            found += [f"{place}: is the English"] if said == text else []
    return sorted(found)


def lost_from(said: str, text: str, options: list[str]) -> list[str]:
    """What stands in the English and must stand in every language: numbers, names, what is typed, words of options."""
    words = [word for word in (*options, *NAMES) if whole_word(word, said.lower() if word in options else said)]
    numbers = set(NUMBER.findall(text))
    lost = [word for word in words if not whole_word(word, text)]
    lost += [typed for typed in TYPED.findall(said) if typed not in text]
    return lost + [number for number in NUMBER.findall(said) if number not in numbers]


def whole_word(word: str, text: str) -> bool:
    """Whether it stands there between other letters than Latin ones, which other scripts put beside it."""
    return bool(re.search(rf"(?<![A-Za-z]){re.escape(word)}(?![A-Za-z])", text))


def main() -> int:
    found = {language: problems(language) for language in sys.argv[1:] or LANGUAGES}
    for language, lines in found.items():
        print(f"{language}: {len(lines) or 'nothing'} to mend")
        print("".join(f"  {line}\n" for line in lines), end="")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
