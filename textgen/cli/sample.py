"""`textgen sample`: text from a trained model, as fast as it can be read."""

from collections.abc import Sequence
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from textgen.cli.items import INTERRUPTED, is_list, text_line, write_items
from textgen.cli.options import complete_run
from textgen.cli.pipe import TextPipe
from textgen.cli.terminal import note_on_stderr, one_blas_thread
from textgen.cli.values import Finite, Length, Temperatures, Undivided, Whole, as_utf8, only_prompt
from textgen.messages import quoted

if TYPE_CHECKING:
    from textgen.generation.sampling import Sample
    from textgen.generation.writing import Texts
    from textgen.library.writer import Writer

HOT = 2.0  # a temperature above this writes noise
# What makes a text of what would be items.
ENDS = ("length", "num_samples", "stop", "until", "max_copy", "prompts", "separator")
NO_END = -1  # the length of a text that only a stop text or the end of a unit ends


@click.command(
    epilog="To choose among continuations in a browser, make a page with `textgen page MODEL`."
)
@click.argument("words", metavar="[MODEL]", nargs=-1, shell_complete=complete_run)
@click.option(
    "-m",
    "--model",
    cls=Undivided,
    multiple=True,
    metavar="MODEL[:WEIGHT]",
    shell_complete=complete_run,
    help="Name of a run, a run directory, a .keras file, or builtin:english. Several write "
    "together: the mean of their probabilities, by weight, as in -m austen:0.7 -m chesterton:0.3.  "
    "[default: the newest run, builtin:english where there is none]",
)
@click.option(
    "-p",
    "--prompt",
    cls=Undivided,
    multiple=True,
    callback=only_prompt,
    help="Text to continue.",
)
@click.option(
    "-f",
    "--prompt-file",
    type=click.Path(allow_dash=True),
    help="Read the prompt from this file (- for stdin), without a final newline. Write the text "
    "to another file: > empties this one first.",
)
@click.option(
    "--prompts",
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="Continue each line of this file (- for stdin), or JSON lines with prompt and any of "
    "temperature, length and seed.",
)
@click.option(
    "-n",
    "--length",
    type=Length(),
    help="Characters to generate, -1 for no end.  [default: the model's, usually 500]",
)
@click.option(
    "--items",
    type=Whole(min=1),
    metavar="N",
    help="Items to write, one a line, with a model that was trained on a list.  [default: 10]",
)
@click.option(
    "--new", is_flag=True, help="Leave out items of the list that the model learned, and repeats."
)
@click.option(
    "-t",
    "--temperature",
    type=Temperatures(),
    help="Low is careful, high is bold, 0 always takes the most probable character. Several, "
    "separated by commas, give a block of texts each.  [default: the model's, usually 0.8]",
)
@click.option(
    "-s",
    "--seed",
    type=Whole(min=0),
    help="Same seed, same options, same text.  [default: random, printed to stderr]",
)
@click.option(
    "--echo/--no-echo", default=True, show_default=True, help="Write the prompt before the text."
)
@click.option(
    "--on-unknown",
    type=click.Choice(("error", "skip", "replace")),
    default="error",
    show_default=True,
    help="What to do with prompt characters that the model does not know.",
)
@click.option(
    "-k",
    "--top-k",
    type=Whole(min=0),
    default=0,
    help="Choose among the K most probable characters only; 0 is off.",
)
@click.option(
    "--top-p",
    type=Finite(0, 1),
    default=1.0,
    help="Choose among the fewest characters that together reach this probability; 1 is off.",
)
@click.option(
    "--min-p",
    type=Finite(0, 1),
    default=0.0,
    help="Choose among characters at least this probable relative to the most probable one; "
    "0 is off. Filters apply in the order -k, --top-p, --min-p, then the temperature.",
)
@click.option(
    "--num-samples",
    type=Whole(min=1),
    default=1,
    show_default=True,
    help="Texts to generate, side by side.",
)
@click.option(
    "--separator",
    default="\n---\n",
    callback=as_utf8,
    help="Written between two texts.  [default: a line with ---]",
)
@click.option(
    "--stop",
    multiple=True,
    metavar="TEXT",
    callback=as_utf8,
    help="End a text before it writes this; '\\n' is a line end. Can be repeated.",
)
@click.option(
    "--until",
    type=click.Choice(("sentence", "line", "paragraph")),
    help="End a text with its first sentence, line or paragraph.",
)
@click.option(
    "--max-copy",
    type=Whole(min=1),
    metavar="N",
    help="Never copy more than N characters in a row from the training text. The prompt does "
    "not count.",
)
@click.option(
    "--corpus",
    metavar="SOURCE",
    help="The training text for --max-copy, where it is not beside the model.",
)
@click.option("--json", is_flag=True, help="Write each text as a JSON object on a line of its own.")
def sample(
    words: tuple[str, ...],
    model: tuple[str, ...],
    prompt: str,
    prompt_file: str | None,
    prompts: str | None,
    length: int | None,
    items: int | None,
    new: bool,
    temperature: tuple[float, ...] | None,
    seed: int | None,
    echo: bool,
    on_unknown: str,
    top_k: int,
    top_p: float,
    min_p: float,
    num_samples: int,
    separator: str,
    stop: tuple[str, ...],
    until: str | None,
    max_copy: int | None,
    corpus: str | None,
    json: bool,
) -> None:
    """Generate text with a trained model: MODEL, or the newest run.

    The text goes to stdout as it is made, everything else to stderr. Without a prompt the model
    continues the end of its training text, which is not written; without a length as well, the
    text begins and ends at a word. A model that was trained on a list writes items, one a line,
    unless -n or another end is given.

    Exit status: 0; 1 or 2 after an error; 130 after Ctrl-C; 141 when the reader of a pipe
    has gone. Defaults can be set in the environment, as in TEXTGEN_SAMPLE_TEMPERATURE=0.5
    or TEXTGEN_SAMPLE_TOP_K=10.
    """
    one_blas_thread()
    import textgen
    from textgen.generation.prompt import read_prompt_file, read_prompt_lines
    from textgen.generation.writing import Asked
    from textgen.library.mixing import with_weight

    _check_together(prompt, prompt_file, prompts, stop, max_copy, corpus)
    named = [with_weight(name) for name in _named_models(words, model, prompt)]
    loaded = textgen.mix(named) if named else textgen.load()
    temperatures = temperature or loaded.sampling.temperatures
    _note_temperatures(temperatures)
    lines = [] if prompts is None else read_prompt_lines(prompts)
    wants_items = _wants_items(loaded, items is not None or new)
    endless = length == NO_END
    several = json or num_samples * len(temperatures) * len(lines or " ") > 1
    if endless and several and not stop and not until:
        raise click.UsageError("With -n -1 the first text never ends: give a --stop.")
    asked = Asked(
        length=None if endless else length,
        endless=endless,
        prompt=prompt if prompt_file is None else read_prompt_file(prompt_file),
        lines=lines,
        temperatures=temperatures,
        num_samples=num_samples,
        seed=seed,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        stop=stop,
        until=until,
        max_copy=max_copy,
        corpus=corpus,
        on_unknown=on_unknown,
        measure=json,
    )
    if wants_items:
        write_items(loaded, asked, items, new, echo=echo, json=json)
        return
    texts = loaded.texts(asked)
    note_on_stderr(f"seed {texts.seed}")
    pipe = TextPipe()
    with closing(texts.pieces):
        if json:
            _write_json(pipe, texts)
        else:
            _write_texts(pipe, texts, echo, separator, headed=len(temperatures) > 1)


def _wants_items(loaded: "Writer", asked_for: bool) -> bool:
    """Whether items are to be written: they are asked for, or the model learned a list."""
    context = click.get_current_context()
    default = ParameterSource.DEFAULT
    given = [name for name in ENDS if context.get_parameter_source(name) is not default]
    if asked_for and given:
        option = given[0].replace("_", "-")
        raise click.UsageError(
            f"Items end by themselves: leave out --{option}, or --items and --new."
        )
    return asked_for or (not given and is_list(loaded))


def _named_models(words: tuple[str, ...], models: tuple[str, ...], prompt: str) -> tuple[str, ...]:
    """The models that are named by -m, or by a word of its own; other words are a mistake."""
    if not words:
        return models
    from textgen.storage.run_folder import is_model

    unquoted = " ".join((prompt, *words))
    if prompt and (len(words) > 1 or not is_model(words[0])):
        raise click.UsageError(f"A prompt of several words needs quotes: -p {quoted(unquoted)}")
    if len(words) > 1:
        if all(map(is_model, words)):
            several = " ".join(f"-m {quoted(word)}" for word in words)
            raise click.UsageError(f"Name one model, not {len(words)}. To mix them: {several}")
        raise click.UsageError(f"Name one model, not {len(words)}. A prompt comes after -p.")
    if models:
        several = " ".join(f"-m {quoted(name)}" for name in models)
        raise click.UsageError(f"Name one model: {several} or {quoted(words[0])}.")
    if " " in words[0] and not is_model(words[0]):
        named = quoted(words[0])
        raise click.UsageError(f"There is no model {named}. A prompt comes after -p: -p {named}")
    return words


def _note_temperatures(temperatures: Sequence[float]) -> None:
    """Point at temperatures that may be a slip of the keyboard, or write noise."""
    first, *others = temperatures
    if len(others) == 1 and first.is_integer() and others[0].is_integer() and others[0] >= 2:
        both = f"{first:g} and {others[0]:g}"
        note_on_stderr(f"Temperatures {both}. For one, write {first:g}.{others[0]:g}.")
    elif max(temperatures) > HOT:
        note_on_stderr(
            f"At temperature {max(temperatures):g} the text is mostly noise. "
            "Usual temperatures are 0.3 to 1.2."
        )


def _check_together(
    prompt: str,
    prompt_file: str | None,
    prompts: str | None,
    stop: tuple[str, ...],
    max_copy: int | None,
    corpus: str | None,
) -> None:
    """Refuse options that make no sense together."""
    if prompts is not None and (prompt or prompt_file is not None):
        raise click.UsageError("Give either --prompts, or one prompt with -p or -f.")
    if prompt and prompt_file is not None:
        raise click.UsageError("Give the prompt with -p or with -f, not with both.")
    if "" in stop:
        raise click.UsageError("--stop must not be empty.")
    if corpus is not None and max_copy is None:
        raise click.UsageError("--corpus needs --max-copy.")


def _write_texts(pipe: TextPipe, texts: "Texts", echo: bool, separator: str, headed: bool) -> None:
    """Write each text when its turn has come, the first one while it grows."""
    begun: Sample | None = None
    try:
        for sample, piece in texts.pieces:
            if sample is not begun:
                if begun:
                    pipe.write(separator)
                if headed and sample.index == 0:
                    pipe.end_line()
                    note_on_stderr(f"temperature {sample.temperature:g}")
                pipe.write(texts.prompts[sample.prompt] if echo else "")
                pipe.flush()
                begun = sample
            pipe.write(piece)
        pipe.end_line()
    except KeyboardInterrupt:
        pipe.end_line()
        raise SystemExit(INTERRUPTED) from None


def _write_json(pipe: TextPipe, texts: "Texts") -> None:
    """Write a line for each text, when its turn has come and it has ended."""
    for sample, pieces in groupby(texts.pieces, itemgetter(0)):
        text = "".join(piece for _, piece in pieces)
        pipe.write(text_line(sample, text, texts.prompts[sample.prompt]) + "\n")
        pipe.flush()
