"""Run a ComfyUI graph from Python and save what it makes. Needs nothing but Python 3.11.

As a program, with the API form of a workflow (this folder has one for each):

    python docs/api/client.py graph.json --image "Load Image.image=star.png" --set "KSampler.seed=7" --out out

In Python:

    comfy = ComfyClient("http://127.0.0.1:8188")
    name = comfy.upload("star.png")
    graph = load_graph("graph.json", {"Load Image.image": name, "KSampler.seed": 7})
    for file in comfy.run(graph, progress=print):
        print(comfy.download(file, "out"))

A place in a graph is `NODE.INPUT`, where NODE is the node's title or its id. What a choice brings is written after it,
`MicroCinema Sampler.gamma.value`, and setting it makes the choice; in Python that takes the server's list of nodes:

    graph = load_graph("graph.json", {"MicroCinema Sampler.gamma.value": 0.1}, comfy.object_info())
"""
# ruff: noqa: T201

import argparse
import base64
import copy
import http.client
import json
import mimetypes
import os
import secrets
import socket
import struct
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

Graph = dict[str, dict]


class ComfyError(Exception):
    """Something went wrong; the message names the node where one is to blame."""


class Unreachable(ComfyError):
    """No ComfyUI answers at the address."""


class GraphError(ComfyError):
    """The graph does not hold together, or the host refused it. `node_errors`: the host's answer, by node id."""

    def __init__(self, message: str, node_errors: dict | None = None) -> None:
        super().__init__(message)
        self.node_errors = node_errors or {}


class RunError(ComfyError):
    """A node failed while the graph ran. `details`: the host's message, with its traceback."""

    def __init__(self, message: str, details: dict | None = None) -> None:
        super().__init__(message)
        self.details = details or {}


class Interrupted(ComfyError):
    """The run was cancelled before it ended."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Node `node` (its title where the graph has one) is at `value` of `maximum`, in units of its own."""

    node: str
    value: float
    maximum: float


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that a node made. `type`: the host's folder for it, `output` or, for previews, `temp`."""

    node_id: str
    filename: str
    subfolder: str
    type: str


def load_graph(
    path: str | os.PathLike, values: dict[str, object] | None = None, nodes: dict[str, dict] | None = None
) -> Graph:
    """The API form of a workflow with `values` put in its places, as `substitute` does it."""
    try:
        graph = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise GraphError(f"{path}: not JSON ({error}). Export it with ComfyUI's File > Export (API).") from error
    parts = graph.values() if isinstance(graph, dict) else [None]
    if not all(isinstance(part, dict) and "class_type" in part and "inputs" in part for part in parts):
        raise GraphError(f"{path}: not the API form of a workflow. Export it with ComfyUI's File > Export (API).")
    return substitute(graph, values or {}, nodes)


def substitute(graph: Graph, values: dict[str, object], nodes: dict[str, dict] | None = None) -> Graph:
    """A copy of `graph` with each value in its place, `NODE.INPUT`.

    nodes: what `ComfyClient.object_info` says. With it an input may be one that the graph leaves out, or one that a
    choice brings, `gamma.value`; then the choice is made too. Raises GraphError for a place that is not there.
    """
    graph = copy.deepcopy(graph)
    places = {place: split_place(graph, place) for place in values}
    for place in sorted(places, key=lambda place: places[place][1].count(".")):  # choices before what they bring
        name, given = places[place]
        node = find_node(graph, name)
        inputs, known = node["inputs"], (nodes or {}).get(node["class_type"])
        if known is not None:
            made = {other for of, other in places.values() if find_node(graph, of) is node}
            inputs |= choices_for(name, given, inputs, all_inputs(known["input"]), made)
        elif given not in inputs:
            more = " What a choice brings is known to the server: give its object_info() too." if "." in given else ""
            raise GraphError(no_input(name, given, inputs) + more)
        inputs[given] = values[place]
    return graph


def split_place(graph: Graph, place: str) -> tuple[str, str]:
    """NODE and INPUT of a place, both of which may hold dots; GraphError for a text without any."""
    parts = place.split(".")
    splits = [(".".join(parts[:i]), ".".join(parts[i:])) for i in range(len(parts) - 1, 0, -1)]
    if not splits:
        raise GraphError(f"{place!r} is no place in a graph. Write NODE.INPUT, such as KSampler.seed")
    names = {*graph, *(title(graph, key) for key in graph)}
    return next((split for split in splits if split[0] in names), splits[0])


def choices_for(node: str, name: str, inputs: dict, known: dict, made: set[str]) -> dict[str, str]:
    """The choices under which the node has this input, `gamma.value`: {"gamma": "value"}; none for a plain one.

    inputs: of the graph. known: of the server. made: what the caller sets, and is not overruled.
    """
    parts, chosen = name.split("."), {}
    for i, part in enumerate(parts):
        if part not in known and name in inputs:  # nodes of other packs take more than they tell
            break
        if part not in known:
            raise GraphError(no_input(node, name, {*inputs, *(".".join([*parts[:i], other]) for other in known)}))
        if i + 1 == len(parts):
            break
        so_far, options = ".".join(parts[: i + 1]), known[part][1]
        if "template" in options:  # a list that grows
            known = dict.fromkeys(listed(options["template"]), ("", {}))
            continue
        brings = {choice["key"]: all_inputs(choice["inputs"]) for choice in choices_of(options)}
        fitting = [key for key, brought in brings.items() if parts[i + 1] in brought]
        now = inputs.get(so_far)
        if now not in fitting and (len(fitting) != 1 or so_far in made):
            all_brought = ", ".join(dict.fromkeys(other for brought in brings.values() for other in brought))
            with_it = f"choose {' or '.join(fitting)}" if fitting else f"its choices bring {all_brought or 'nothing'}"
            raise GraphError(f"Node {node!r}: {so_far} is {now!r} and has no {parts[i + 1]!r}: {with_it}.")
        chosen[so_far] = now if now in fitting else fitting[0]
        known = brings[chosen[so_far]]
    return chosen


def choices_of(options: dict) -> list[dict]:
    """The options of a choice that brings inputs; none for any other input."""
    return [option for option in options.get("options", []) if isinstance(option, dict) and "inputs" in option]


def listed(template: dict) -> list[str]:
    """The names of a list that grows."""
    return template.get("names") or [f"{template['prefix']}{number}" for number in range(template["max"])]


def all_inputs(groups: dict) -> dict[str, tuple]:
    """Every input of a node or of a choice, as (kind, options)."""
    return {
        name: (kind, rest[0] if rest else {})
        for group in ("required", "optional")
        for name, (kind, *rest) in groups.get(group, {}).items()
    }


def no_input(node: str, name: str, known: Iterable[str]) -> str:
    return f"Node {node!r} has no input {name!r} but {', '.join(sorted(known)) or 'none'}."


def find_node(graph: Graph, name: str) -> dict:
    """The node with this id or title; GraphError if there is none, or several of that title."""
    if name in graph:
        return graph[name]
    found = [key for key in graph if title(graph, key) == name]
    if len(found) == 1:
        return graph[found[0]]
    if found:
        raise GraphError(f"The nodes {', '.join(found)} are all titled {name!r}. Name one by its id.")
    known = ", ".join(f"{key} ({title(graph, key)})" for key in graph)
    raise GraphError(f"The graph has no node {name!r} but {known}.")


def title(graph: Graph, node_id: str) -> str:
    """What the node is called on the canvas, else its class; its id where the graph has no such node."""
    node = graph.get(node_id, {})
    return node.get("_meta", {}).get("title") or node.get("class_type", node_id)


class ComfyClient:
    """One ComfyUI server. `timeout`: seconds to wait for one answer, not for a whole run."""

    def __init__(self, address: str = "http://127.0.0.1:8188", timeout: float = 30) -> None:
        self.address = address.rstrip("/")
        self.timeout = timeout
        self.client_id = uuid.uuid4().hex

    def run(
        self,
        graph: Graph,
        progress: Callable[[Progress], None] | None = None,
        preview: Callable[[bytes], None] | None = None,
        deadline: float | None = None,
    ) -> list[OutputFile]:
        """Queue the graph, wait until it is done and list the files it made.

        progress, preview: called with each step and with each preview picture (a JPEG or PNG file's bytes).
        deadline: seconds after which the run is cancelled and a ComfyError raised; None waits as long as it takes.
        Raises GraphError, RunError, Interrupted or Unreachable.
        """
        if progress is None and preview is None:
            prompt_id = self.queue(graph)
            with self._stopped_with_us(prompt_id):
                return self.wait(prompt_id, graph, deadline)
        with closing(EventStream(self.address, self.client_id, self.timeout)) as events:
            prompt_id = self.queue(graph)
            follower = Follower(events, prompt_id, graph, progress, preview)
            with self._stopped_with_us(prompt_id):
                entry = self._wait(prompt_id, graph, follower.follow, deadline)
                follower.follow()  # what is still on its way
            return files_of(entry)

    def queue(self, graph: Graph) -> str:
        """Queue the graph and return its id. GraphError if the host refuses any node, though it would run others."""
        answer = json.loads(self._post("/prompt", {"prompt": graph, "client_id": self.client_id}, graph))
        if errors := answer.get("node_errors"):
            self.cancel(answer["prompt_id"])
            raise GraphError(f"ComfyUI refused a part of the graph: nothing was run.{describe(errors, graph)}", errors)
        return answer["prompt_id"]

    def wait(self, prompt_id: str, graph: Graph | None = None, deadline: float | None = None) -> list[OutputFile]:
        """Wait for a queued graph and list the files it made; the graph, if given, puts titles into messages."""
        return files_of(self._wait(prompt_id, graph or {}, lambda: time.sleep(0.2), deadline))

    def cancel(self, prompt_id: str) -> None:
        """Take the graph from the queue, or stop it if it runs."""
        self._post("/queue", {"delete": [prompt_id]})
        self._post("/interrupt", {"prompt_id": prompt_id})

    @contextmanager
    def _stopped_with_us(self, prompt_id: str) -> Iterator[None]:
        """Ctrl-C stops the server's work on this graph too."""
        try:
            yield
        except KeyboardInterrupt:
            with suppress(ComfyError):  # a server that is gone has stopped
                self.cancel(prompt_id)
            raise

    def upload(self, picture: str | os.PathLike) -> str:
        """Copy a file into the server's input folder, and return the name for Load Image.

        A file of that name and other contents is not replaced: the copy gets a number.
        """
        path = Path(picture)
        boundary = uuid.uuid4().hex
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        name = path.name.replace('"', "%22")
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        body = f"{head}Content-Type: {kind}\r\n\r\n".encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        answer = json.loads(self._send("/upload/image", body, f"multipart/form-data; boundary={boundary}"))
        return "/".join(filter(None, (answer["subfolder"], answer["name"])))

    def download(self, file: OutputFile, folder: str | os.PathLike) -> Path:
        """Save a file into `folder` under its own name, whole or not at all; an older one is replaced."""
        query = urllib.parse.urlencode({"filename": file.filename, "subfolder": file.subfolder, "type": file.type})
        data = self._send(f"/view?{query}")
        Path(folder).mkdir(parents=True, exist_ok=True)
        target = Path(folder) / Path(file.filename).name
        handle, name = tempfile.mkstemp(dir=folder, prefix=".download-")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(data)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return target

    def object_info(self) -> dict[str, dict]:
        """Every node of the server with its inputs and outputs, by class name."""
        return self._json("/object_info")

    def _wait(self, prompt_id: str, graph: Graph, pause: Callable[[], None], deadline: float | None) -> dict:
        """The history entry of a graph that ended well. History alone decides; `pause` passes between two looks."""
        end = None if deadline is None else time.monotonic() + deadline
        queued = True
        while True:
            if entry := self._json(f"/history/{prompt_id}").get(prompt_id):
                return check(entry, graph)
            if not queued:
                raise Interrupted(f"The graph {prompt_id} was taken from the queue before it ran.")
            if end is not None and time.monotonic() > end:
                self.cancel(prompt_id)
                raise ComfyError(f"The graph {prompt_id} was not done after {deadline:g} s, and was cancelled.")
            pause()
            queue = self._json("/queue")
            queued = any(item[1] == prompt_id for item in queue["queue_running"] + queue["queue_pending"])

    def _json(self, path: str) -> dict:
        return json.loads(self._send(path))

    def _post(self, path: str, body: object, graph: Graph | None = None) -> bytes:
        return self._send(path, json.dumps(body).encode(), "application/json", graph)

    def _send(self, path: str, body: bytes | None = None, kind: str = "", graph: Graph | None = None) -> bytes:
        """The answer to GET, or with a body to POST; the graph puts titles into what a refusal says."""
        request = urllib.request.Request(self.address + path, data=body, headers={"Content-Type": kind} if kind else {})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise refusal(path, error, graph or {}) from error
        except (OSError, http.client.HTTPException) as error:  # the latter: an answer that breaks off
            raise unreachable(self.address, error) from error


def unreachable(address: str, error: Exception) -> Unreachable:
    return Unreachable(f"No ComfyUI answers at {address}: {error}. Start it, or give its address.")


def check(entry: dict, graph: Graph) -> dict:
    """The entry itself if its run ended well, else RunError or Interrupted."""
    status = entry.get("status") or {}
    messages = dict(status.get("messages", []))
    if data := messages.get("execution_interrupted"):
        raise Interrupted(f"The run was cancelled in {label(graph, str(data['node_id']))}.")
    if data := messages.get("execution_error"):
        where = label(graph, str(data["node_id"])) if graph else f"{data['node_type']} (node {data['node_id']})"
        raise RunError(f"{where}: {data['exception_type']}: {data['exception_message'].strip()}", data)
    if status.get("status_str") != "success":
        raise RunError(f"The run ended as {status.get('status_str')!r}, and ComfyUI says no more. See its log.")
    return entry


def files_of(entry: dict) -> list[OutputFile]:
    """The files of a history entry; videos are listed under `images` by SaveVideo, under `gifs` by other packs."""
    return [
        OutputFile(node_id, item["filename"], item.get("subfolder", ""), item.get("type", "output"))
        for node_id, made in entry["outputs"].items()
        for kind in ("images", "gifs")
        for item in made.get(kind, [])
    ]


def refusal(path: str, error: urllib.error.HTTPError, graph: Graph) -> ComfyError:
    """ComfyUI's answer of status 400 and above as an exception that names each node and input."""
    text = error.read().decode(errors="replace")
    try:
        answer = json.loads(text)
        reason, nodes = answer["error"], answer.get("node_errors") or {}
        details = (reason.get("details"), (reason.get("extra_info") or {}).get("class_type"))
        message = ": ".join(filter(None, (reason["message"], *details)))
    except (ValueError, TypeError, KeyError):
        return ComfyError(f"ComfyUI answered {path.partition('?')[0]} with status {error.code}. {text.strip()[:500]}")
    return GraphError(f"ComfyUI refused the graph. {message.strip()}{describe(nodes, graph)}", nodes)


def describe(node_errors: dict, graph: Graph) -> str:
    """One line for each error of each node."""
    return "".join(
        f"\n  {label(graph, node_id)}: {error['message']}: {error['details']}"
        for node_id, node in node_errors.items()
        for error in node["errors"]
    )


def label(graph: Graph, node_id: str) -> str:
    return f"{title(graph, node_id)} (node {node_id})"


class EventStream:
    """The server's websocket, as much of it as following a run takes (RFC 6455, no extensions)."""

    def __init__(self, address: str, client_id: str, timeout: float) -> None:
        url = urllib.parse.urlsplit(address)
        if url.scheme != "http":
            raise ComfyError(f"{address}: progress can be followed over http only. Give no progress or preview.")
        try:
            self._socket = socket.create_connection((url.hostname, url.port or 80), timeout)
        except OSError as error:
            raise unreachable(address, error) from error
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        lines = (
            f"GET {url.path}/ws?clientId={client_id} HTTP/1.1", f"Host: {url.netloc}", "Upgrade: websocket",
            "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", "",
        )  # fmt: skip
        self._socket.sendall("\r\n".join(lines).encode())
        self._buffer, self._message, self._text, self._open = b"", b"", False, True
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive(time.monotonic() + timeout):
                raise Unreachable(f"{address} does not answer as ComfyUI does: it opens no websocket.")
        answer, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        if b" 101 " not in answer.partition(b"\r\n")[0]:
            raise Unreachable(f"{address} opens no websocket: {answer[:80].decode(errors='replace')}")

    def read(self, seconds: float) -> Iterator[dict | bytes]:
        """Messages as they come, for at most `seconds`: JSON ones as dicts, binary ones as bytes."""
        end = time.monotonic() + seconds
        while True:
            while (frame := self._take_frame()) is not None:
                final, code, data = frame
                if code == 9:
                    self._answer_ping(data)
                elif code == 8:
                    self._open = False
                elif code <= 2:
                    self._message += data
                    self._text = code == 1 if code else self._text
                    if final:
                        message, self._message = self._message, b""
                        yield json.loads(message) if self._text else message
            if not self._open:
                time.sleep(max(0.0, min(end - time.monotonic(), 0.2)))
                return
            if not self._receive(end):
                return

    def close(self) -> None:
        self._socket.close()

    def _receive(self, end: float) -> bool:
        """Wait for bytes until `end`; False if none came."""
        self._socket.settimeout(max(0.001, end - time.monotonic()))
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        self._buffer += data
        self._open = bool(data)
        return self._open

    def _take_frame(self) -> tuple[bool, int, bytes] | None:
        """(last of its message, kind, data) of the next whole frame. A server's frames are not masked."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1] & 127, 2
        if size >= 126:
            form = ">H" if size == 126 else ">Q"
            start += struct.calcsize(form)
            if len(buffer) < start:
                return None
            (size,) = struct.unpack(form, buffer[2:start])
        if len(buffer) < start + size:
            return None
        self._buffer = buffer[start + size :]
        return bool(buffer[0] & 128), buffer[0] & 15, buffer[start : start + size]

    def _answer_ping(self, data: bytes) -> None:
        """A client's frames are masked; a mask of zeros leaves the data as it is."""
        self._socket.sendall(bytes([0x8A, 0x80 | len(data), 0, 0, 0, 0]) + data)


@dataclass(slots=True)
class Follower:
    """Passes on what the server tells of one run: each step once, and each preview picture."""

    events: EventStream
    prompt_id: str
    graph: Graph
    progress: Callable[[Progress], None] | None
    preview: Callable[[bytes], None] | None
    told: dict[str, Progress] = field(default_factory=dict)
    ended: bool = False

    def follow(self) -> None:
        """For a second, or until the run has ended."""
        if self.ended:
            return
        for event in self.events.read(seconds=1):
            if isinstance(event, bytes):
                if self.preview and struct.unpack(">I", event[:4]) == (1,):  # a picture; its format's number follows
                    self.preview(event[8:])
                continue
            data = event.get("data", {})
            if data.get("prompt_id") != self.prompt_id:
                continue
            if self.progress and event["type"] == "progress_state":
                self._tell(self.progress, data["nodes"])
            if event["type"] == "executing" and data.get("node") is None:
                self.ended = True
                return

    def _tell(self, progress: Callable[[Progress], None], nodes: dict[str, dict]) -> None:
        for node_id, node in nodes.items():
            step = Progress(title(self.graph, str(node["display_node_id"])), node["value"], node["max"])
            if self.told.get(node_id) != step:
                self.told[node_id] = step
                progress(step)


def place(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NODE.INPUT=VALUE")
    return name, value


def parse_value(text: str) -> object:
    """A number, true, false or other JSON where the text is such, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run the API form of a workflow in ComfyUI and save what it makes.")
    parser.add_argument("graph", type=Path, help="JSON file: the API form of a workflow")
    parser.add_argument("--set", type=place, action="append", default=[], metavar="NODE.INPUT=VALUE")
    parser.add_argument(
        "--image", type=place, action="append", default=[], metavar="NODE.INPUT=FILE", help="upload and use a picture"
    )
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the results (default: out)")
    parser.add_argument("--server", default="http://127.0.0.1:8188", help="address (default: http://127.0.0.1:8188)")
    options = parser.parse_args(arguments)
    comfy = ComfyClient(options.server)
    try:
        values = {name: parse_value(value) for name, value in options.set}
        values |= {name: comfy.upload(path) for name, path in options.image}
        graph = load_graph(options.graph, values, comfy.object_info() if values else None)
        files = comfy.run(graph, progress=show)
        for file in files:
            print(comfy.download(file, options.out))
    except (ComfyError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def show(step: Progress) -> None:
    print(f"{step.node}: {step.value:g} of {step.maximum:g}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
