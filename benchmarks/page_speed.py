"""How large a page that writes is, and how fast it writes in headless Chromium on one core.

    python benchmarks/page_speed.py [MODEL.keras ...]

Without a model: one of random weights, 2 x 256 with 65 characters. Other work on the machine
slows the page down, so the best of several tries is printed, and the median beside it.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.browser import Tab, browser
from support.tiny import tiny_model

from textgen.config import ModelConfig
from textgen.pages.writing_page import writing_page
from textgen.storage.model_file import Model, load_model
from textgen.storage.run_folder import find_model, model_name

TRIES = 7
CHARACTERS = 400
WRITE = f"""(async () => {{
  const start = performance.now();
  await textgen.generate({{ prompt: "The ", length: {CHARACTERS}, temperature: 0.8 }});
  return {CHARACTERS} / (performance.now() - start) * 1000;
}})()"""
FIRST = """new Promise((resolve) => {
  const choice = document.querySelector("#choices button");
  const start = performance.now();
  document.getElementById("offer").click();
  new MutationObserver((_, watch) => {
    if (!choice.textContent) return;
    watch.disconnect();
    resolve(performance.now() - start);
  }).observe(choice, { childList: true });
})"""


def random_model() -> Model:
    """A 2 x 256 LSTM that has learned nothing."""
    characters = "".join(map(chr, range(32, 97)))
    return tiny_model(ModelConfig(units=(256, 256)), characters)


def measure(tab: Tab, page: Path) -> tuple[float, float, list[float]]:
    """Milliseconds until the page is ready and until the first character; characters a second."""
    ready, first = [], []
    for _ in range(TRIES):
        tab.open(page)
        tab.until("document.body.dataset.ready !== undefined")
        ready.append(float(tab.run("document.body.dataset.ready")))
        first.append(tab.run(FIRST))
    tab.open(page)
    return min(ready), min(first), [tab.run(WRITE) for _ in range(TRIES)]


def main() -> None:
    """Print a row for each model."""
    models = {"random 2 x 256": (Path("random.keras"), random_model())}
    if sys.argv[1:]:
        paths = [find_model(name) for name in sys.argv[1:]]
        models = {model_name(path): (path, load_model(path)) for path in paths}
    print("model                MB   ready ms   first ms   characters/s: best, median")
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (path, model)) in enumerate(models.items()):
            page = Path(folder, f"{number}.html")
            page.write_text(writing_page(path, model), "utf-8")
            size = page.stat().st_size / 1e6
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            with browser(Path(folder, f"profile-{number}")) as chromium, chromium.tab() as tab:
                ready, first, speeds = measure(tab, page)
            print(
                f"{name:<18} {size:5.2f} {ready:10.0f} {first:10.0f}"
                f" {max(speeds):19,.0f} {statistics.median(speeds):7,.0f}"
            )


if __name__ == "__main__":
    main()
