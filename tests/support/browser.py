"""A real browser, where there is one."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
OPTIONS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def browse(page: Path, profile: Path) -> str:
    """The page's HTML after a real browser has run its script."""
    assert CHROMIUM is not None
    result = subprocess.run(
        [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()],
        capture_output=True,
        timeout=120,
        check=True,
    )
    return result.stdout.decode()


class Tab:
    """A page in Chromium, driven by the DevTools protocol over a pair of pipes.

    Attributes:
        asked: addresses that the page asked for, itself included.
        logged: what it wrote to the console, and its uncaught errors.
    """

    def __init__(self, orders: int, answers: int):
        self._orders, self._answers = orders, answers
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.asked: list[str] = []
        self.logged: list[str] = []
        target = self.order("Target.createTarget", url="about:blank")["targetId"]
        attached = self.order("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.order(f"{domain}.enable")

    def order(self, method: str, **values: Any) -> dict[str, Any]:
        """Call a method of the protocol; what it returns."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._orders, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer.get("method"), answer.get("params", {}))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._answers, 1 << 16)
            assert more, "chromium has gone"
            self._buffer += more
        first, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(first)

    def _note(self, method: str | None, values: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.asked.append(values["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.logged.append(json.dumps(values["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.logged.append(values["entry"]["text"])

    def open(self, page: Path) -> None:
        """Go to a file, and wait until it has loaded."""
        self.order("Page.navigate", url=page.as_uri())
        self.until("document.readyState === 'complete' && location.protocol === 'file:'")

    def run(self, code: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        result = self.order(
            "Runtime.evaluate",
            expression=code,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, condition: str, seconds: float = 60) -> None:
        """Wait for a JavaScript expression to become true."""
        ends = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < ends, f"never true: {condition}"
            time.sleep(0.02)

    def press(self, key: str, ctrl: bool = False, shift: bool = False) -> None:
        """Press and let go a key by its name, or a character."""
        codes = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "Tab": 9}
        code = codes.get(key, ord(key[0].upper()))
        values: dict[str, Any] = {
            "key": key,
            "windowsVirtualKeyCode": code,
            "modifiers": 2 * ctrl + 8 * shift,
        }
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        self.order("Input.dispatchKeyEvent", type="keyDown", text="" if ctrl else text, **values)
        self.order("Input.dispatchKeyEvent", type="keyUp", **values)

    def type(self, text: str) -> None:
        """Type a text, as a keyboard or an input method does."""
        self.order("Input.insertText", text=text)

    def look(self, width: int, height: int, dark: bool = False) -> None:
        """Give the page a window's size, and a light or dark theme."""
        self.order(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.order("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write what the window, or the whole page, looks like as PNG."""
        picture = self.order("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def browser(profile: Path, *options: str) -> Iterator[Tab]:
    """A tab of a headless Chromium that ends with the block."""
    assert CHROMIUM is not None
    # Chromium reads orders from descriptor 3 and answers on 4, which the shell arranges.
    theirs_in, orders = os.pipe()
    answers, theirs_out = os.pipe()
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    command += ["--hide-scrollbars", *options]
    # A shell other than bash may know descriptors of one digit only.
    arrange = f'exec 3<&{theirs_in} 4>&{theirs_out}; exec "$@"'
    process = subprocess.Popen(
        ["bash", "-c", arrange, "bash", *command],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Tab(orders, answers)
    finally:
        os.close(orders)
        os.close(answers)
        process.terminate()
        process.wait(30)
