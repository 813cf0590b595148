"""Debian's Chromium without a screen, driven over its DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--mute-audio", "--remote-debugging-port=0",
)  # fmt: skip
#: Seconds that anything may take before a test gives up.
PATIENCE = 20.0

#: A canvas's pixels, and how many they are, as text that comes through JSON.
_PIXELS = """
(() => {
  const canvas = document.querySelector(%s);
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  let text = "";
  for (let i = 0; i < data.length; i += 0x8000) {
    text += String.fromCharCode(...data.subarray(i, i + 0x8000));
  }
  return [width, height, btoa(text)];
})()
"""


class Chromium:
    """A browser with one page, and a profile that is gone afterwards."""

    def __init__(self, width: int = 1280, height: int = 800) -> None:
        assert CHROMIUM is not None
        self._profile = tempfile.TemporaryDirectory(
            prefix="vgaemu-chromium-", ignore_cleanup_errors=True
        )
        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={self._profile.name}",
             f"--window-size={width},{height}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._calls = 0
        #: Errors that the page's scripts raised.
        self.errors: list[str] = []
        self._open = ExitStack()
        try:
            self._socket = self._open.enter_context(
                connect(self._page_address(), max_size=None, compression=None)
            )
            for domain in ("Runtime", "Page"):
                self.call(f"{domain}.enable")
        except BaseException:
            self._end()
            raise

    def _page_address(self) -> str:
        """Of the page's debugger: the browser writes its port into its profile."""
        told = Path(self._profile.name, "DevToolsActivePort")
        until = time.monotonic() + PATIENCE
        while not (told.exists() and told.read_text().count("\n")):
            assert self._process.poll() is None, "chromium has ended"
            assert time.monotonic() < until, "chromium does not start"
            time.sleep(0.02)
        port = told.read_text().split("\n")[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as said:
            pages = json.load(said)
        address: str = next(p for p in pages if p["type"] == "page")["webSocketDebuggerUrl"]
        return address

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of DevTools."""
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            said = json.loads(self._socket.recv(PATIENCE))
            if said.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(said["params"]["exceptionDetails"]))
            if said.get("id") == self._calls:
                assert "error" not in said, said["error"]
                result: dict[str, Any] = said["result"]
                return result

    def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are waited for."""
        said = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """The value of an expression in the page as soon as it is true."""
        until = time.monotonic() + PATIENCE
        while True:
            value = self.run(script)
            if value:
                return value
            assert time.monotonic() < until, f"{script} is {value!r}; {self.errors}"
            time.sleep(0.02)

    def open(self, address: str) -> None:
        """Go to an address; what of the page is not there yet is waited for by who needs it."""
        self.call("Page.navigate", url=address)

    def pixels(self, canvas: str) -> NDArray[np.uint8]:
        """What a canvas shows: (h, w, 3) uint8."""
        width, height, data = self.run(_PIXELS % json.dumps(canvas))
        rgba = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)
        return rgba[..., :3]

    def key(self, kind: str, code: str, key: str, **more: Any) -> None:
        """A key goes down or up: `kind` is keyDown or keyUp, the others as in a KeyboardEvent."""
        text = {"text": key} if kind == "keyDown" and len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type=kind, code=code, key=key, **text, **more)

    def strike(self, code: str, key: str) -> None:
        """A key goes down and up."""
        for kind in ("keyDown", "keyUp"):
            self.key(kind, code, key)

    def screenshot(self, path: Path, width: int, height: int) -> None:
        """Save what a window of that size shows."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        time.sleep(0.5)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """End the browser, and remove its profile."""
        try:
            self.call("Browser.close")
            self._process.wait(PATIENCE)
        finally:
            self._end()

    def _end(self) -> None:
        self._open.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._profile.cleanup()
