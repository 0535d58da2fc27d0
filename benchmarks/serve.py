"""The server under load: throughput against the network alone, waiting times, memory, losses.

    make bench-serve

A ResNet-50 with random weights is served on this machine. Clients send photos one by one over
HTTP, each its next one when it has the answer to the last, and hostile files in between. Each
answer is compared with the logit that the network alone gives to that photo. The network alone is
timed before and after, on ready batches of the server's size, with the server idle.

The clients compute on the same cores as the server.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from benchmarks.predict import LAUNCH, ROOT, save_checkpoint
from benchmarks.timing import print_table
from genspot.common.geometry import Geometry
from genspot.data import image_io
from genspot.data.photo_reading import PhotoReading
from genspot.data.simulated import photographs
from genspot.detector.checkpoint import load_checkpoint
from genspot.detector.metadata import PUBLISHED
from genspot.detector.network import build_network, fuse_batchnorm
from genspot.tasks.examiner import BATCH

SIDE = 224  # of the crop, pixels
QUALITY = 90  # of the photos, JPEG
START_S = 120  # in which the server must be ready
TOLERANCE = 1e-3  # of a logit, relative: batches of other sizes round otherwise
WARM = 2 * BATCH  # photos that are sent first and not counted


class Item(NamedTuple):
    """A file that is sent, and the logit that its answer must have; None: it is hostile."""

    content: bytes
    logit: float | None


class Outcome(NamedTuple):
    """What became of a file that was sent: seconds until its answer, and a word."""

    seconds: float
    word: str


def make_photos(count: int, side: int) -> list[bytes]:
    """Return JPEG files of windows of the photographs that ship with genspot, all different."""
    rng = random.Random(0)
    sources = [image for image in photographs.load("train").values() if min(image.size) >= side]
    found = []
    for number in range(count):
        image = sources[number % len(sources)]
        left, top = (rng.randrange(length - side + 1) for length in image.size)
        file = BytesIO()
        image.crop((left, top, left + side, top + side)).save(file, "JPEG", quality=QUALITY)
        found.append(file.getvalue())
    return found


def make_hostile(photo: bytes) -> list[bytes]:
    """Return files that no server should answer with a verdict, small and at once."""
    bomb = BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    return [
        b"",
        photo[: len(photo) // 2],
        bomb.getvalue(),
        b"PK\x03\x04" + os.urandom(2000),
        b"\xff\xd8\xff\xe0" + os.urandom(20_000),
        b"GIF89a" + b"\xff" * 500,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        os.urandom(100_000),
    ]


class Network:
    """The network that is served, alone."""

    def __init__(self, checkpoint: Path) -> None:
        network = build_network(PUBLISHED.model)
        load_checkpoint(checkpoint).load_into(network, PUBLISHED.model.name)
        self.network = fuse_batchnorm(network)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the logits of images, in batches of the server's size."""
        with torch.inference_mode():
            parts = torch.from_numpy(images).split(BATCH)
            return torch.cat([self.network(part) for part in parts]).numpy()

    def rate(self, images: np.ndarray) -> float:
        """Return the images a second."""
        start = time.perf_counter()
        self.logits(images)
        return len(images) / (time.perf_counter() - start)


class Clients:
    """Clients that share a list of files and send each once.

    Args:
        port: of the server on this machine.
        items: what is sent, in order.
    """

    def __init__(self, port: int, items: list[Item]) -> None:
        self.port, self.items = port, iter(items)
        self.lock = threading.Lock()
        self.outcomes: list[Outcome] = []

    def run(self, count: int) -> float:
        """Send all with `count` clients, and return the seconds that it took."""
        threads = [threading.Thread(target=self._send_all) for _ in range(count)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - start

    def _send_all(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_S)
        while item := self._next():
            start = time.perf_counter()
            try:
                word = send(connection, item)
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                word = f"lost: {type(error).__name__}"
            self.outcomes.append(Outcome(time.perf_counter() - start, word))
        connection.close()

    def _next(self) -> Item | None:
        with self.lock:
            return next(self.items, None)


def send(connection: http.client.HTTPConnection, item: Item) -> str:
    """Send one file, and return "right", "refused" of a hostile one, or what is wrong."""
    headers = {"Content-Type": "application/octet-stream"}
    connection.request("POST", "/v1/predict", item.content, headers)
    answer = connection.getresponse()
    body = answer.read()
    if item.logit is None:
        return "refused" if answer.status in (413, 422) else f"hostile: HTTP {answer.status}"
    if answer.status != 200:
        return f"HTTP {answer.status}"
    logit = json.loads(body)["photos"][0]["detectors"][0]["logit"]
    return "right" if np.isclose(logit, item.logit, TOLERANCE, TOLERANCE) else "wrong logit"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Return once the server answers."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/v1/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
    sys.exit("the server did not start")


def peak_memory(pid: int) -> float:
    """Return the peak of the resident memory of a process, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def mixed(photos: list[Item], hostile: list[bytes], every: int) -> Iterator[Item]:
    """Yield photos with a hostile file after each `every` of them."""
    for number, photo in enumerate(photos, 1):
        yield photo
        if number % every == 0:
            yield Item(hostile[number // every % len(hostile)], None)


def serve(folder: Path, checkpoint: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the server, with no limit on the requests of a client."""
    settings = ["task=serve", f"checkpoint={checkpoint}", f"task.port={port}"]
    settings += ["task.requests_per_minute=null", f"paths.root={folder}/runs"]
    launch = [sys.executable, "-c", LAUNCH, str(ROOT)]
    return subprocess.Popen([*launch, *settings], cwd=folder, stdout=subprocess.DEVNULL)


def measure(
    folder: Path, checkpoint: Path, items: list[Item], warm: list[Item], clients: int
) -> tuple[float, list[Outcome], float]:
    """Serve, and send `warm` and then `items`.

    Returns:
        The seconds that the items took, what became of them, and the server's peak memory in MB.
    """
    port = free_port()
    process = serve(folder, checkpoint, port)
    try:
        wait_until_ready(process, port)
        Clients(port, warm).run(clients)
        crowd = Clients(port, items)
        seconds = crowd.run(clients)
        return seconds, crowd.outcomes, peak_memory(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--side", type=int, default=256, help="of the photos, pixels")
    parser.add_argument("--every", type=int, default=20, help="photos for each hostile file")
    arguments = parser.parse_args()
    contents = make_photos(arguments.photos, arguments.side)
    reading = PhotoReading(Geometry(None, SIDE))
    images = np.stack(
        [reading.prepare(image_io.read_bytes("photo.jpg", one))[0] for one in contents]
    )
    with tempfile.TemporaryDirectory() as place:
        checkpoint = Path(place) / "resnet50.safetensors"
        save_checkpoint(checkpoint)
        network = Network(checkpoint)
        logits = network.logits(images).tolist()  # and warm
        photos = [Item(*pair) for pair in zip(contents, logits, strict=True)]
        items = list(mixed(photos, make_hostile(contents[0]), arguments.every))
        before = network.rate(images)
        found = measure(Path(place), checkpoint, items, photos[:WARM], arguments.clients)
        report(len(photos), found, statistics.mean((before, network.rate(images))), arguments)


def report(
    photos: int,
    found: tuple[float, list[Outcome], float],
    alone: float,
    arguments: argparse.Namespace,
) -> None:
    """Print the figures; end with an error if a file is lost or wrong."""
    seconds, outcomes, memory = found
    words = Counter(outcome.word for outcome in outcomes)
    waits = np.array([one.seconds for one in outcomes if one.word == "right"]) * 1000
    p50, p95, longest = np.percentile(waits, (50, 95, 100))
    served = words["right"] / seconds
    rows = [
        ("network alone, images/s", f"{alone:.1f}"),
        ("server, photos/s", f"{served:.1f}"),
        ("share of the network's rate", f"{served / alone:.0%}"),
        ("p50, ms", f"{p50:.0f}"),
        ("p95, ms", f"{p95:.0f}"),
        ("longest, ms", f"{longest:.0f}"),
        ("server's peak memory, MB", f"{memory:.0f}"),
        *((f"files: {word}", str(count)) for word, count in sorted(words.items())),
    ]
    title = (
        f"ResNet-50 at {SIDE}, {photos} photos of {arguments.side} × {arguments.side} pixels, "
        f"{arguments.clients} clients, batches of {BATCH}"
    )
    print_table(title, ("", "measured"), rows)
    if words["right"] != photos or words.keys() - {"right", "refused"}:
        sys.exit("files were lost, or answered wrongly")


if __name__ == "__main__":
    main()
