"""What an artist does in ComfyUI's page: drop a file, press the button, take a look."""

import base64
import json
import mimetypes
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Route
from run_host import ROOT

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
MINUTE = 60_000  # Playwright counts milliseconds
READY = """() => window.app?.graph && document.querySelector('[data-testid=queue-button]')
    && !document.querySelector('.p-blockui-mask')"""
DROP = """([name, type, data]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
    document.querySelector("#graph-canvas").dispatchEvent(new DragEvent("drop", options));
}"""


class ComfyPage:
    """ComfyUI's page with an empty canvas. `page`: Playwright's own; `refused`: what it wanted from other machines."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.refused: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(3 * MINUTE)
        context.route("**/*", self._only_this_machine)
        skip_tutorial(address)
        self.page.goto(address)
        # A load that is over before the mask over the page has faded in leaves the mask there for good.
        self.page.add_style_tag(content=".p-blockui-mask { animation: none !important }")
        self.page.wait_for_function(READY)
        self.page.evaluate("() => window.app.graph.clear()")

    def drop(self, path: Path, nodes: int) -> None:
        """Drop a file on the canvas and wait until it holds that many nodes."""
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self.page.evaluate(DROP, [path.name, kind, base64.b64encode(path.read_bytes()).decode()])
        self.page.wait_for_function("count => window.app.graph.nodes.length === count", arg=nodes)

    def queue(self) -> str:
        """Press the button; the graph's id. AssertionError with the host's answer if it refuses."""
        with self.page.expect_response(lambda response: urlsplit(response.url).path == "/api/prompt") as answered:
            self.page.get_by_test_id("queue-button").click()
        answer = answered.value.json()
        assert "prompt_id" in answer, json.dumps(answer)
        return answer["prompt_id"]

    def screenshot(self, name: str) -> Path:
        path = ROOT / "out" / "browser" / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def _only_this_machine(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.hostname != "127.0.0.1":
            self.refused.append(route.request.url)
            route.abort()
        else:
            route.continue_()


def skip_tutorial(address: str) -> None:
    """The dialog of templates that greets a new user would lie over the canvas."""
    body = json.dumps({"Comfy.TutorialCompleted": True}).encode()
    request = urllib.request.Request(f"{address}/api/settings", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30):
        pass
