"""A headless Chromium that tests drive over its debugging port, with the standard library alone."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.helpers.debian import install

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0",
)  # fmt: skip


class Page:
    """A tab. `call` sends a command of the DevTools protocol, `js` evaluates an expression."""

    def __init__(self, url: str) -> None:
        address, _, path = url.removeprefix("ws://").partition("/")
        host, _, port = address.partition(":")
        self.requests: list[str] = []
        self._n = 0
        self._socket = socket.create_connection((host, int(port)), timeout=240)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._stream = self._socket.makefile("rb")
        while self._stream.readline().strip():  # the header of the answer
            pass

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._n += 1
        self._send(json.dumps({"id": self._n, "method": method, "params": params}).encode())
        while True:
            answer = json.loads(self._receive())
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.append(answer["params"]["request"]["url"])
            if answer.get("id") == self._n:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def js(self, expression: str) -> Any:
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 240.0) -> None:
        end = time.monotonic() + seconds
        while not self.js(expression):
            assert time.monotonic() < end, f"still not: {expression}"
            time.sleep(0.1)

    def open(self, file: Path, width: int = 1400, *, dark: bool = False) -> None:
        """Show a report and wait for its plots."""
        self.call("Network.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                  deviceScaleFactor=1, mobile=width < 500)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=file.resolve().as_uri())
        self.wait("document.body && document.body.dataset.drawn === 'yes'")

    def mouse(self, kind: str, x: float, y: float) -> None:
        button = "none" if kind == "mouseMoved" else "left"
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1)

    def click(self, x: float, y: float) -> None:
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y)

    def picture(self) -> bytes:
        """The whole page as PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def _send(self, data: bytes) -> None:
        n = len(data)
        size = bytes([0x80 | n]) if n < 126 else bytes([0xFE]) + n.to_bytes(2, "big")
        self._socket.sendall(b"\x81" + size + bytes(4) + data)  # the mask is four zeros

    def _receive(self) -> bytes:
        data, last = b"", False
        while not last:
            first, second = self._stream.read(2)
            last, n = bool(first & 0x80), second & 0x7F
            if n >= 126:
                n = int.from_bytes(self._stream.read(2 if n == 126 else 8), "big")
            data += self._stream.read(n)
        return data


@contextmanager
def browser() -> Iterator[Page]:
    """One tab of a Chromium of its own, with an empty profile."""
    if not any(map(shutil.which, NAMES)):
        install({"chromium": "chromium fonts-liberation"})
    program = next(filter(None, map(shutil.which, NAMES)))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *QUIET, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Page(_address(Path(profile) / "DevToolsActivePort", process))
        finally:
            process.terminate()
            process.wait()


def _address(file: Path, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + 240
    while not (file.is_file() and file.read_text(encoding="utf-8").strip()):
        assert process.poll() is None, "Chromium ended before it listened"
        assert time.monotonic() < end, "Chromium does not listen"
        time.sleep(0.1)
    port = file.read_text(encoding="utf-8").split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
        tabs = json.load(answer)
    address: str = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    return address
