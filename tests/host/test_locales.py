"""What the page says of the nodes in other languages. `node_texts.json` is the record of the English.

A text that is new or changed is translated in each language of locales/, and recorded: run this with
`MICROCINEMA_RECORD_SCHEMA=1`, and then `node_texts.py`, which names what is to be written.
"""

import json
import os
import urllib.request
from typing import Any

import pytest
from node_texts import LANGUAGES, LOCALES, RECORD, flat, lost_from, problems, read_json, texts_of
from run_host import PACK, Server


def nested(texts: dict[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for place, text in texts.items():
        *folders, name = place.split(".")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = text
    return tree


def test_the_record_is_what_the_nodes_say(comfy: Any) -> None:
    """Where it is not, each changed text stands in six languages as it was: look at those first, then record."""
    ours = {name: node for name, node in comfy.object_info().items() if node["python_module"] == f"custom_nodes.{PACK}"}
    found = texts_of(ours)
    if os.environ.get("MICROCINEMA_RECORD_SCHEMA"):
        text = json.dumps(nested(found), indent=1, ensure_ascii=False)
        RECORD.write_text(text + "\n", encoding="utf-8", newline="\n")
    assert found == flat(read_json(RECORD))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_says_all_of_it_and_no_more(language: str) -> None:
    """What to do: python tests/host/node_texts.py"""
    assert not problems(language)


def test_there_are_no_other_languages_or_files() -> None:
    assert {str(path.relative_to(LOCALES)) for path in LOCALES.rglob("*.json")} == {
        f"{language}/nodeDefs.json" for language in LANGUAGES
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_nodes_and_no_two_inputs_of_a_node_have_one_name(language: str) -> None:
    nodes = read_json(LOCALES / language / "nodeDefs.json")
    titles = [node["display_name"] for node in nodes.values()]
    assert len(set(titles)) == len(titles)
    for name, node in nodes.items():
        for kind in ("inputs", "outputs"):
            names = [given["name"] for given in node.get(kind, {}).values()]
            assert len(set(names)) == len(names), (name, names)


def test_the_server_hands_them_to_the_page(host: Server) -> None:
    with urllib.request.urlopen(f"{host.address}/api/i18n") as answer:
        told = json.load(answer)
    for language in LANGUAGES:
        assert told[language]["nodeDefs"] == read_json(LOCALES / language / "nodeDefs.json")


@pytest.mark.parametrize(
    ("said", "text", "lost"),
    [
        ("0 right, 90 up; at most 0.02", "90, 0,02", ["0.02"]),
        ("of frames up to 320x320", "320", ["320x320"]),
        ("auto: what the file says", "automatique", ["auto"]),
        ("Words: `the camera`, as #rrggbb, in models/microcinema", "`la camera` rrggbb", 3),
        ("MODEL of a TSR file", "模型", ["MODEL", "TSR"]),
    ],
)
def test_what_a_translation_loses_is_seen(said: str, text: str, lost: Any) -> None:
    found = lost_from(said, text, ["auto", "value"])
    assert len(found) == lost if isinstance(lost, int) else sorted(found) == sorted(lost)


NAMED = """names => names.map((name) => {
    const node = LiteGraph.createNode(name);
    window.app.graph.add(node);
    const labels = (node.widgets ?? []).map((widget) => [widget.name.replaceAll('.', '_'), widget.label]);
    const slots = node.inputs.filter((input) => !input.widget).map((input) => [input.name, input.localized_name]);
    return [name, node.title, Object.fromEntries([...labels, ...slots])];
})"""


@pytest.mark.slow
def test_the_page_shows_them(host: Server, comfy_page: Any) -> None:
    """Titles, sockets and dials; a multi-line text's name stands in its box, which the page does not translate."""
    from browser import READY

    page, english = comfy_page.page, read_json(RECORD)
    try:
        for language in LANGUAGES:
            set_language(host, language)
            page.goto(host.address)
            page.wait_for_function(READY)
            texts = read_json(LOCALES / language / "nodeDefs.json")
            for name, title, shown in page.evaluate(NAMED, list(english)):
                assert title == texts[name]["display_name"]
                named = {key: given["name"] for key, given in texts[name]["inputs"].items() if key in shown}
                assert named
                assert named == {key: shown[key] or named[key] for key in named}, (language, name)
            page.wait_for_timeout(500)
            comfy_page.screenshot(f"nodes-{language}")
    finally:
        set_language(host, "en")


def set_language(host: Server, language: str) -> None:
    body = json.dumps({"Comfy.Locale": language}).encode()
    request = urllib.request.Request(f"{host.address}/api/settings", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30):
        pass
