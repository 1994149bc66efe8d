"""A real browser, where there is one."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
OPTIONS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

SHIFTS = """
var shifts = [];
new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => shifts.push(value)))
  .observe({ type: "layout-shift", buffered: true });
"""
Listener = Callable[[str, dict[str, Any]], None]


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


class Browser:
    """Chromium, driven by the DevTools protocol over a pair of pipes."""

    def __init__(self, orders: int, answers: int):
        self._orders, self._answers = orders, answers
        self._buffer = b""
        self._number = 0
        self._listeners: dict[str | None, Listener] = {}

    def order(self, method: str, session: str | None = None, **values: Any) -> dict[str, Any]:
        """Call a method of the protocol, of the browser or of a tab; what it returns."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        if session:
            message["sessionId"] = session
        os.write(self._orders, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            listener = self._listeners.get(answer.get("sessionId"))
            if listener:
                listener(answer["method"], answer["params"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._answers, 1 << 16)
            assert more, "chromium has gone"
            self._buffer += more
        first, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(first)

    def listen(self, session: str, listener: Listener) -> None:
        """Pass the events of a tab on."""
        self._listeners[session] = listener

    @contextmanager
    def profile(self) -> Iterator[str]:
        """A person who has never been here; closes that person's tabs."""
        person = self.order("Target.createBrowserContext")["browserContextId"]
        try:
            yield person
        finally:
            self.order("Target.disposeBrowserContext", browserContextId=person)

    @contextmanager
    def tab(self) -> Iterator["Tab"]:
        """A tab of somebody who has never been here."""
        with self.profile() as person:
            yield Tab(self, person)


class Tab:
    """A page in a browser.

    Attributes:
        asked: addresses that the page asked for, itself included.
        logged: what it wrote to the console, and its uncaught errors.
    """

    def __init__(self, chromium: Browser, person: str):
        self._browser, self._person = chromium, person
        self._session: str | None = None
        self.asked: list[str] = []
        self.logged: list[str] = []
        made = chromium.order("Target.createTarget", url="about:blank", browserContextId=person)
        self._target = made["targetId"]
        attached = chromium.order("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        chromium.listen(attached["sessionId"], self._note)
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.order(f"{domain}.enable")
        self.before(SHIFTS)
        self.look(1280, 800)

    def order(self, method: str, **values: Any) -> dict[str, Any]:
        """Call a method of the protocol; what it returns."""
        return self._browser.order(method, self._session, **values)

    def _note(self, method: str, values: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.asked.append(values["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.logged.append(json.dumps(values["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.logged.append(values["entry"]["text"])

    def before(self, code: str) -> None:
        """Run code before the scripts of each page."""
        self.order("Page.addScriptToEvaluateOnNewDocument", source=code)

    def open(self, page: Path) -> None:
        """Go to a file, and wait until it has loaded."""
        self.order("Page.navigate", url=page.as_uri())
        self.until("document.readyState === 'complete' && location.protocol === 'file:'")

    def close(self) -> None:
        """Close the tab, as a person does."""
        self._browser.order("Target.closeTarget", targetId=self._target)

    def allow(self, *permissions: str) -> None:
        """Grant permissions to all pages of this person."""
        self._browser.order(
            "Browser.grantPermissions", permissions=permissions, browserContextId=self._person
        )

    def download_to(self, folder: Path) -> None:
        """Keep files that pages save there."""
        self._browser.order(
            "Browser.setDownloadBehavior",
            behavior="allow",
            downloadPath=str(folder),
            browserContextId=self._person,
        )

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
        codes = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38, "Tab": 9}
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

    def place(self, selector: str) -> dict[str, float]:
        """The middle of an element in the window, which is scrolled to it."""
        return self.run(
            f"""(async (part) => {{
                part.scrollIntoView({{ block: "nearest" }});
                for (const _ of [1, 2]) await new Promise((done) => requestAnimationFrame(done));
                const {{ x, y, width, height }} = part.getBoundingClientRect();
                return {{ x: x + width / 2, y: y + height / 2 }};
            }})(document.querySelector({json.dumps(selector)}))"""
        )

    def click(self, selector: str) -> None:
        """Click an element with a mouse."""
        place = self.place(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.order("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def tap(self, selector: str) -> None:
        """Touch an element with a finger."""
        place = self.place(selector)
        self.order("Emulation.setTouchEmulationEnabled", enabled=True)
        self.order("Input.dispatchTouchEvent", type="touchStart", touchPoints=[place])
        self.order("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def look(self, width: int, height: int, **media: str) -> None:
        """Give the page a window's size, and media features such as `prefers_color_scheme`."""
        self.order(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [
            {"name": name.replace("_", "-"), "value": value} for name, value in media.items()
        ]
        self.order("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write what the window, or the whole page, looks like as PNG."""
        picture = self.order("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(picture["data"]))

    def shift(self) -> float:
        """How far things have moved by themselves: the sum of the Layout Instability API."""
        return self.run("shifts.reduce((sum, one) => sum + one, 0)")

    def spoken(self) -> list[tuple[str, str]]:
        """Role and name of all that a screen reader meets, in its order."""
        nodes = {
            node["nodeId"]: node for node in self.order("Accessibility.getFullAXTree")["nodes"]
        }
        met, waiting = [], [next(iter(nodes))]
        while waiting:
            node = nodes[waiting.pop()]
            waiting += [child for child in reversed(node["childIds"]) if child in nodes]
            if not node["ignored"]:
                met.append((node["role"]["value"], node.get("name", {}).get("value", "")))
        return met


@contextmanager
def browser(profile: Path, *options: str) -> Iterator[Browser]:
    """A headless Chromium that ends with the block."""
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
        yield Browser(orders, answers)
    finally:
        os.close(orders)
        os.close(answers)
        process.terminate()
        process.wait(30)
