"""A real Chromium without a window, through chromedriver's plain HTTP interface (W3C WebDriver)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
CALL_S = 30
PROGRAMS = ("chromedriver", "chromium")


class Browser:
    """`profile` is a new folder, all that the browser may write to."""

    def __init__(self, profile: Path):
        driver, browser = (shutil.which(name) for name in PROGRAMS)
        assert driver and browser, "chromium and chromium-driver are not installed"
        self.opener = build_opener(ProxyHandler({}))
        self.driver = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            self.base = f"http://127.0.0.1:{self._port()}"
            options = {"binary": browser, "args": [*FLAGS, f"--user-data-dir={profile}"]}
            options["prefs"] = {"download.default_directory": str(profile / "downloads")}
            logs = {"browser": "ALL", "performance": "ALL"}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": logs}
            answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        except BaseException:
            self.driver.kill()
            self.driver.wait()
            raise
        self.base += f"/session/{answer['sessionId']}"

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            self._call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(timeout=10)

    # --- what a person does

    def open(self, page: Path, width: int, dark: bool = False) -> None:
        height = 844 if width < 600 else 900
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics)
        self.devtools("Emulation.setEmulatedMedia", features=scheme)
        self.requests(), self.complaints()  # what was there before does not count
        self._call("POST", "/url", {"url": page.absolute().as_uri()})

    def click(self, selector: str) -> None:
        self._call("POST", f"/element/{self._find(selector)}/click", {})

    def press(self, selector: str, keys: str) -> None:
        self._call("POST", f"/element/{self._find(selector)}/value", {"text": keys})

    def screenshot(self, path: Path, whole: bool = False) -> None:
        taken = self.devtools("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(b64decode(taken["data"]))

    # --- what there is to see

    def run(self, script: str) -> Any:
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def texts(self, selector: str) -> list[str]:
        found = f"document.querySelectorAll({json.dumps(selector)})"
        return list(self.run(f"return [...{found}].map(e => e.innerText.trim())"))

    def complaints(self) -> list[str]:
        """All that the console has said since the last time."""
        return [entry["message"] for entry in self._log("browser")]

    def requests(self) -> list[str]:
        """All that was fetched since the last time."""
        events = (json.loads(entry["message"])["message"] for entry in self._log("performance"))
        sent = (event for event in events if event["method"] == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]

    def devtools(self, command: str, **params: Any) -> Any:
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    # --- how

    def _find(self, selector: str) -> str:
        how = {"using": "css selector", "value": selector}
        return str(self._call("POST", "/element", how)[ELEMENT])

    def _log(self, kind: str) -> list[dict[str, Any]]:
        return list(self._call("POST", "/se/log", {"type": kind}))

    def _port(self) -> int:
        assert self.driver.stdout
        for line in self.driver.stdout:  # ends with the driver, should it fail to start
            if found := re.search(r"started successfully on port (\d+)", line):
                return int(found[1])
        raise AssertionError("chromedriver did not start")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        head = {"Content-Type": "application/json"}
        request = Request(self.base + path, data, head, method=method)
        try:
            with self.opener.open(request, timeout=CALL_S) as answer:
                return json.load(answer)["value"]
        except HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None
