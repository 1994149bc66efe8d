"""`textgen page`: a page that writes."""

from pathlib import Path

import click

from textgen.cli.options import complete_run
from textgen.cli.terminal import one_blas_thread, say_path, utf8_stdout, warn
from textgen.messages import shown


@click.command()
@click.argument("model", required=False, shell_complete=complete_run)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the page.  [default: page.html beside the model]",
)
@click.option(
    "--open",
    "open_it",
    is_flag=True,
    envvar="TEXTGEN_PAGE_OPEN",
    help="Open the page in a browser.",
)
@click.option("--force", is_flag=True, help="Write a page of more than 64 MB.")
def page(model: str | None, output: Path | None, open_it: bool, force: bool) -> None:
    """Write a web page that generates text: one HTML file with the model inside.

    MODEL is the name of a run, a run directory or a .keras file; the newest run by default.
    The page needs nothing but a browser: no network, no server, no Python. Its path is
    printed to stdout.
    """
    one_blas_thread()
    utf8_stdout()
    from textgen import load
    from textgen.pages.pages import write_page
    from textgen.storage.run_folder import page_path

    loaded = load(model)
    target = output or page_path(loaded.path, "page.html")
    write_page(target, loaded.page(force), named=output is not None)
    say_path(target)
    if open_it and click.launch(target.resolve().as_uri()) != 0:
        warn(f"Could not open a browser. Open {shown(target)} yourself.")
