"""`textgen report`: a page about a run."""

from pathlib import Path

import click

from textgen.cli.options import complete_run
from textgen.cli.terminal import one_blas_thread, say_path, utf8_stdout


@click.command()
@click.argument("run", required=False, shell_complete=complete_run)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the page.  [default: report.html in the run's directory]",
)
def report(run: str | None, output: Path | None) -> None:
    """Write a page about a run: how it learned, what surprises it, whether it copies.

    RUN is the name of a run, a run directory or a .keras file; the newest run by default.
    The page is one file that loads nothing from the network. Its path is printed to stdout.
    """
    one_blas_thread()
    utf8_stdout()
    from textgen.pages.pages import write_page
    from textgen.pages.report import report_page
    from textgen.storage.model_file import load_model
    from textgen.storage.run_folder import find_model, page_path

    path = find_model(run)
    target = output or page_path(path, "report.html")
    page = report_page(path, load_model(path), target)
    write_page(target, page, named=output is not None)
    say_path(target)
