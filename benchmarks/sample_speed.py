"""How fast text is generated, beside other ways to run the same model.

    python benchmarks/sample_speed.py [--rounds 7] [--torch-python PATH] [--no-keras]

The contenders take turns, round after round, and the table holds medians, so that a busy
machine disturbs all alike. NumPy has one BLAS thread, as in `textgen sample`. Keras and
torch run in processes of their own, which wait while others are measured. `--long N` also
writes N characters and watches the memory.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

UNITS, VOCABULARY, WINDOW = (256, 256), 65, 40
SLIDING_UNITS = (128,)  # the preset nietzsche
# Seconds that it takes to write so many characters.
Contender = Callable[[int], float]
Weights = dict[str, np.ndarray]


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    start = perf_counter()
    work()
    return perf_counter() - start


# Workers: processes that hold Keras or torch. They read numbers of characters from stdin
# and answer with seconds.


def keras_contenders() -> dict[str, Contender]:
    """Stock Keras: `predict` on a window, and a compiled function of one step."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf

    def model(batch: int | None, time: int, stateful: bool) -> keras.Model:
        layers = [
            keras.layers.LSTM(units, return_sequences=units_left > 1, stateful=stateful)
            for units, units_left in zip(UNITS, range(len(UNITS), 0, -1), strict=True)
        ]
        inputs = keras.Input((time, VOCABULARY), batch_size=batch)
        return keras.Sequential([inputs, *layers, keras.layers.Dense(VOCABULARY)])

    window, stateful = model(None, WINDOW, False), model(1, 1, True)
    one_hot = np.zeros((1, WINDOW, VOCABULARY), np.float32)
    cells = [layer.cell for layer in stateful.layers[:-1]]
    states = [tf.Variable(tf.zeros((1, units))) for units in UNITS for _ in range(2)]

    def predict(characters: int) -> float:
        return timed(lambda: [window.predict(one_hot, verbose=0) for _ in range(characters)])

    def model_step(character: tf.Tensor) -> tf.Tensor:
        return tf.argmax(stateful(tf.one_hot(character[None, None], VOCABULARY))[0])

    def cell_step(character: tf.Tensor) -> tf.Tensor:
        x = tf.one_hot(character[None], VOCABULARY)
        for k, cell in enumerate(cells):
            x, (h, c) = cell(x, [states[2 * k], states[2 * k + 1]])
            states[2 * k].assign(h)
            states[2 * k + 1].assign(c)
        return tf.argmax(stateful.layers[-1](x)[0])

    def compiled(function: Callable[..., object], xla: bool) -> Contender:
        step = tf.function(function, jit_compile=xla)

        def work(characters: int) -> None:
            character = tf.constant(0, tf.int64)
            for _ in range(characters):
                character = step(character)
                character.numpy()

        work(20)
        return lambda characters: timed(lambda: work(characters))

    predict(3)
    return {
        "Keras predict on a window": predict,
        "Keras model, one compiled step": compiled(model_step, False),
        "Keras cells, one compiled step": compiled(cell_step, False),
        "Keras cells, one compiled step, XLA": compiled(cell_step, True),
    }


def torch_contenders() -> dict[str, Contender]:
    """torch.nn.LSTM, a step at a time."""
    import torch

    torch.set_num_threads(1)
    lstm = torch.nn.LSTM(VOCABULARY, UNITS[0], len(UNITS))
    dense = torch.nn.Linear(UNITS[-1], VOCABULARY)
    eye = torch.eye(VOCABULARY)

    def work(characters: int) -> None:
        state, character = None, 0
        with torch.inference_mode():
            for _ in range(characters):
                x, state = lstm(eye[character][None, None], state)
                character = int(dense(x[0, 0]).argmax())

    work(20)
    return {"torch.nn.LSTM step": lambda characters: timed(lambda: work(characters))}


def serve(kind: str) -> None:
    """Answer for the contenders of one library until stdin ends."""
    contenders = {"keras": keras_contenders, "torch": torch_contenders}[kind]()
    print("\t".join(contenders), flush=True)
    for line in sys.stdin:
        name, characters = line.split("\t")
        print(contenders[name](int(characters)), flush=True)


def worker(python: str, kind: str) -> dict[str, Contender]:
    """Start a process with the contenders of one library."""
    process = subprocess.Popen(
        [python, __file__, "--serve", kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin and process.stdout
    requests, answers = process.stdin, process.stdout

    def contender(name: str) -> Contender:
        def ask(characters: int) -> float:
            print(name, characters, sep="\t", file=requests, flush=True)
            return float(answers.readline())

        return ask

    names = answers.readline().strip()
    if not names:
        sys.exit(f"{python} cannot run {kind}.")
    return {name: contender(name) for name in names.split("\t")}


# NumPy


def bare_step(weights: Weights, units: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    """A NumPy LSTM step as one writes it down: nothing reused, nothing around it."""
    h = [np.zeros(width, np.float32) for width in units]
    c = [np.zeros(width, np.float32) for width in units]

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def step(character: int) -> np.ndarray:
        for k in range(len(units)):
            kernel = weights[f"layer_{k}/kernel"]
            x = h[k - 1] @ kernel if k else kernel[character]
            z = x + h[k] @ weights[f"layer_{k}/recurrent_kernel"] + weights[f"layer_{k}/bias"]
            i, f, g, o = np.split(z, 4)
            c[k] = sigmoid(f) * c[k] + sigmoid(i) * np.tanh(g)
            h[k] = sigmoid(o) * np.tanh(c[k])
        return h[-1] @ weights["logits/kernel"] + weights["logits/bias"]

    return step


def numpy_contenders(rng: np.random.Generator) -> dict[str, Contender]:
    """One stream and batches, of a model of targets `every`."""
    from textgen.config import ModelConfig
    from textgen.generation.choosing import Filters
    from textgen.generation.network import Network
    from textgen.generation.ngrams import NgramIndex
    from textgen.generation.sampling import Sample, Settings, generate

    config = ModelConfig(units=UNITS)
    weights = random_weights(config, rng)
    network = Network(config, weights)
    text = rng.integers(0, VOCABULARY, 1_000_000).astype(np.uint8)
    bare, state, one = bare_step(weights, UNITS), network.zero_state(1), np.array([1])

    def writing(batch: int = 1, **others: object) -> Contender:
        def work(characters: int) -> None:
            samples = [Sample(k, 0.8, characters // batch, 1) for k in range(batch)]
            settings = Settings("x" * VOCABULARY, **others)  # type: ignore[arg-type]
            for _ in generate(network, [text[:100]], samples, settings):
                pass

        return lambda characters: timed(lambda: work(characters))

    return {
        "bare NumPy step": lambda n: timed(lambda: [bare(1) for _ in range(n)]),
        "Network.step": lambda n: timed(lambda: [network.step(one, state) for _ in range(n)]),
        "generate, one stream": writing(),
        "  -k 10 --top-p 0.9 --min-p 0.02": writing(filters=Filters(10, 0.9, 0.02)),
        "  --max-copy 20": writing(copied=NgramIndex(text, 20, VOCABULARY)),
        "  --max-copy 3": writing(copied=NgramIndex(text, 3, VOCABULARY)),
        "  --json (bpc measured)": writing(measure=True),
        "generate, 8 streams": writing(8),
        "generate, 64 streams": writing(64),
    }


def sliding_contenders(rng: np.random.Generator) -> dict[str, Contender]:
    """The sliding window of a model of targets `last`, and the naive loops that equal it."""
    from textgen.config import ModelConfig
    from textgen.generation.continuation import read_prompt
    from textgen.generation.network import Network
    from textgen.generation.sampling import Sample, Settings, generate

    config = ModelConfig(units=SLIDING_UNITS, seq_length=WINDOW, targets="last")
    weights = random_weights(config, rng)
    network, one = Network(config, weights), np.array([1])
    prompt = rng.integers(0, VOCABULARY, WINDOW)

    def naive(characters: int) -> None:
        for _ in range(characters):
            bare = bare_step(weights, SLIDING_UNITS)
            for _ in range(WINDOW):
                bare(1)

    def naive_reusing(characters: int) -> None:
        for _ in range(characters):
            state = network.zero_state(1)
            for _ in range(WINDOW):
                network.step(one, state)

    def sliding(characters: int) -> None:
        stream = read_prompt(network, prompt)
        for _ in range(characters):
            stream.step(one)

    def writing(characters: int) -> None:
        settings = Settings("x" * VOCABULARY)
        for _ in generate(network, [prompt], [Sample(0, 0.8, characters, 1)], settings):
            pass

    return {
        "naive loop, bare NumPy steps": lambda n: timed(lambda: naive(n)),
        "naive loop, Network.step": lambda n: timed(lambda: naive_reusing(n)),
        "SlidingWindow.step": lambda n: timed(lambda: sliding(n)),
        "generate, one stream": lambda n: timed(lambda: writing(n)),
    }


def random_weights(config: object, rng: np.random.Generator) -> Weights:
    """Weights of a size at which gates neither saturate nor die out."""
    shapes = config.weight_shapes(VOCABULARY)  # type: ignore[attr-defined]
    return {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}


# Tables


def compare(
    title: str, contenders: dict[str, Contender], rounds: int, seconds: float, base: str
) -> None:
    """Let contenders take turns and print characters/s, beside the one called `base`."""
    sizes, rates = {}, {name: [] for name in contenders}  # type: ignore[var-annotated]
    for name, contender in contenders.items():
        contender(64)
        rate = 256 / contender(256) if name != "Keras predict on a window" else 15
        sizes[name] = max(2, int(rate * seconds) // 64 * 64)
    for _ in range(rounds):
        for name, contender in contenders.items():
            rates[name].append(sizes[name] / contender(sizes[name]))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ratios = {
        name: statistics.median(own / other for own, other in zip(values, rates[base], strict=True))
        for name, values in rates.items()
    }
    print(f"\n{title}\n{'':44}{'characters/s':>14}{'to bare':>10}")
    for name, rate in medians.items():
        print(f"{name:44}{rate:14,.0f}{ratios[name]:10.2f}")


# The peak is read inside: what `wait4` reports begins with the size of the parent process.
SAMPLE = """
import sys
from textgen.cli import main
try:
    main(["sample", *sys.argv[1:]])
finally:
    with open("/proc/self/status") as status:
        print(*(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""


def process(*arguments: str, cwd: Path) -> tuple[float, float, int]:
    """Seconds to the first byte and to the end, and the peak memory in MB."""
    start = perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", SAMPLE, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout and child.stderr
    child.stdout.read(1)
    first = perf_counter() - start
    while child.stdout.read1(1 << 16):  # type: ignore[attr-defined]
        pass
    seconds = perf_counter() - start
    peak = int(child.stderr.read().split()[-1]) // 1024
    child.wait()
    return first, seconds, peak


def start_up(rounds: int, long: int) -> None:
    """Print how long a process takes to its first character, and its memory."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from support.tiny import tiny_model, write_tiny

    from textgen.config import ModelConfig

    characters = "".join(map(chr, range(40, 40 + VOCABULARY)))
    with tempfile.TemporaryDirectory() as folder:
        path = write_tiny(
            Path(folder) / "m.keras", tiny_model(ModelConfig(units=UNITS), characters)
        )
        options = ("-m", path.name, "-s", "1")
        runs = [process(*options, "-n", "1", cwd=path.parent) for _ in range(2 * rounds)]
        first = statistics.median(run[0] for run in runs)
        memory = statistics.median(run[2] for run in runs)
        print(f"\nfirst character after {first:.3f} s (fastest {min(runs)[0]:.3f}), {memory} MB")
        for count in (10_000, long) if long else ():
            _, seconds, memory = process(*options, "-n", str(count), cwd=path.parent)
            print(f"{count:,} characters through a pipe: {seconds:.1f} s, peak {memory} MB")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="per contender and round")
    parser.add_argument("--torch-python", help="an interpreter that has torch")
    parser.add_argument("--no-keras", action="store_true")
    parser.add_argument("--long", type=int, default=0, metavar="N")
    parser.add_argument("--serve", choices=("keras", "torch"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve)
        return

    rng = np.random.default_rng(0)
    others: dict[str, Contender] = {}
    if not arguments.no_keras:
        others |= worker(sys.executable, "keras")
    if arguments.torch_python:
        others |= worker(arguments.torch_python, "torch")
    load = os.getloadavg()[0]
    print(f"NumPy {np.__version__}, {os.cpu_count()} cores, load before {load:.1f}")
    start_up(arguments.rounds, arguments.long)
    contenders = numpy_contenders(rng) | others
    compare(
        f"LSTM {UNITS}, vocabulary {VOCABULARY}, targets every",
        contenders,
        arguments.rounds,
        arguments.seconds,
        "bare NumPy step",
    )
    compare(
        f"LSTM {SLIDING_UNITS}, window {WINDOW}, targets last",
        sliding_contenders(rng),
        arguments.rounds,
        arguments.seconds,
        "naive loop, bare NumPy steps",
    )


if __name__ == "__main__":
    main()
