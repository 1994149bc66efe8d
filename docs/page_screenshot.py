"""Makes docs/page.png, a picture of a page that writes. Needs Chromium.

python docs/page_screenshot.py checkpoints/NAME/page.html "The beginning of a text"
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.browser import browser


def main() -> None:
    """Write a few words, ask for continuations, and take the picture."""
    page, text = Path(sys.argv[1]).resolve(), sys.argv[2]
    with (
        tempfile.TemporaryDirectory() as profile,
        browser(Path(profile)) as chromium,
        chromium.tab() as tab,
    ):
        tab.look(1120, 760)
        tab.open(page)
        tab.until("document.body.dataset.ready !== undefined")
        tab.run("document.getElementById('seed').value = 1")
        tab.run("document.getElementById('text').focus()")
        tab.type(text)
        tab.run("document.getElementById('colours').click()")
        tab.until("document.querySelectorAll('#mirror span').length > 1")
        tab.run("document.getElementById('offer').click()")
        tab.until("!document.querySelector('#choices button').disabled")
        tab.screenshot(Path(__file__).with_name("page.png"))


if __name__ == "__main__":
    main()
