"""The page of a real server in a real browser, with the host's own nodes."""

import json


def test_a_dropped_graph_runs_and_its_file_brings_the_graph_back(comfy_page, comfy, tmp_path):
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 4, "color": 255}},
        "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8.0}},
        "3": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["2", 0], "filename_prefix": "browser", "format": "mp4", "codec": "h264"},
        },
    }
    path = tmp_path / "ein Graph é.json"
    path.write_text(json.dumps(graph))
    comfy_page.drop(path, nodes=3)
    (file,) = comfy.wait(comfy_page.queue())
    comfy_page.page.locator("video").first.wait_for(state="attached")
    comfy_page.screenshot("stock-graph")
    video = comfy.download(file, tmp_path / "out")
    comfy_page.page.evaluate("() => window.app.graph.clear()")
    comfy_page.drop(video, nodes=3)
    types = comfy_page.page.evaluate("() => window.app.graph.nodes.map((node) => node.type)")
    assert sorted(types) == ["CreateVideo", "EmptyImage", "SaveVideo"]
