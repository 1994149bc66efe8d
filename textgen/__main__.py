"""`python -m textgen`."""

from textgen.cli import main

main(prog_name="textgen")
