"""The compiled training step.

On a CPU a step is an XLA program for the gradients of each part of the batch, one a core, and
one for the update.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import keras
import numpy as np
import tensorflow as tf

from textgen.config import ModelConfig, TrainConfig
from textgen.errors import TextgenError
from textgen.storage.state import check_arrays
from textgen.text.batches import Batch
from textgen.text.parts import Holdout
from textgen.training.core_parts import compiled, cut, join, mean, part_count, take
from textgen.training.dropout import Dropout
from textgen.training.evaluator import Evaluator
from textgen.training.model import StackedModel, States


@contextmanager
def memory_errors_explained() -> Iterator[None]:
    """Turn what Python and TensorFlow raise when memory runs out into one line."""
    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise TextgenError(
            "There is not enough memory for this training. Choose fewer --units, a smaller "
            "--batch-size or --seq-length, or close other programs."
        ) from None


def make_optimizer(train: TrainConfig) -> keras.optimizers.Optimizer:
    """Keras's optimizer as `train` describes it, with Keras's defaults for the rest."""
    return keras.optimizers.get(
        {
            "class_name": train.optimizer,
            "config": {
                "learning_rate": train.learning_rate,
                "global_clipnorm": train.clipnorm,
            },
        }
    )


class Learner:
    """A model on one device, with its optimizer and its carried state.

    Args:
        config: the architecture.
        train: the run.
        vocabulary_size: distinct characters.
        rows: of the global batch that it learns from; all if None.
        sharing: how many learners share the cores of this machine.
    """

    def __init__(
        self,
        config: ModelConfig,
        train: TrainConfig,
        vocabulary_size: int,
        rows: slice | None = None,
        sharing: int = 1,
    ):
        keras.utils.set_random_seed(train.seed % 2**32)
        self.rows = rows or slice(0, train.batch_size)
        size = self.rows.stop - self.rows.start
        self.model = StackedModel(config, vocabulary_size, train.precision)
        self._evaluator = Evaluator(self.model)
        self.optimizer = make_optimizer(train)
        self.optimizer.build(self.model.trainable_variables)
        self.model.optimizer = self.optimizer  # where Keras's callbacks look for it
        self.carried = self.model.zero_state(size)
        self.parts = cut(size, part_count(size, sharing))
        self._dropout = Dropout(self.model, train)
        # In bfloat16 the layers' loops are XLA programs of their own; see `loops`.
        self._gradients = compiled(self._part_gradients, train.precision == "float32")
        self._update = compiled(self._apply_mean)
        self.update = compiled(self._apply)
        self._step = tf.function(self._train_step, autograph=False)

    def step(self, number: int, batch: Batch, learning_rate: float) -> float:
        """Train on one batch.

        Args:
            number: of the step; dropout masks depend on it.
            batch: rows of the global batch.
            learning_rate: for this step.

        Returns:
            The batch's mean loss in nats a character, before the update.
        """
        self.optimizer.learning_rate.assign(learning_rate)
        loss, self.carried = self._step(
            batch.inputs,
            batch.targets,
            (~batch.fresh).astype(np.float32)[:, None],
            tf.constant(number, tf.int64),
            self.carried,
        )
        return float(loss)

    def _train_step(
        self,
        inputs: tf.Tensor,
        targets: tf.Tensor,
        keep: tf.Tensor,
        number: tf.Tensor,
        carried: States,
    ) -> tuple[tf.Tensor, States]:
        losses, gradients, after = self.parted(inputs, targets, keep, number, carried)
        self._update(gradients)
        return mean(losses, self.parts), after

    def parted(
        self,
        inputs: tf.Tensor,
        targets: tf.Tensor,
        keep: tf.Tensor,
        number: tf.Tensor,
        carried: States,
    ) -> tuple[Sequence[tf.Tensor], Sequence[list[tf.Tensor]], States]:
        """What a step gives before the update.

        Args:
            inputs: ids (rows, time) int32.
            targets: ids (rows, time) or (rows,) int32.
            keep: (rows, 1) float32: 0 where a row starts from a zero state, else 1.
            number: of the step.
            carried: the states before the window.

        Returns:
            The mean loss and the gradients of each part of the rows; the states after.
        """
        before = [[state * keep for state in layer] for layer in carried]
        results = [
            self._gradients(
                *take((inputs, targets, before), part),
                number,
                tf.constant(self.rows.start + part.start),
            )
            for part in self.parts
        ]
        losses, gradients, after = zip(*results, strict=True)
        return losses, gradients, join(after)

    def _part_gradients(
        self,
        inputs: tf.Tensor,
        targets: tf.Tensor,
        states: States,
        number: tf.Tensor,
        first_row: tf.Tensor,
    ) -> tuple[tf.Tensor, list[tf.Tensor], States]:
        """Mean loss of some rows, its gradients, and the states after them."""
        drop = self._dropout.outputs(number, first_row)
        inputs = self._dropout.hide(inputs, number, first_row)
        with tf.GradientTape() as tape, keras.StatelessScope(self._dropout.weights(number)):
            logits, after = self.model(inputs, states, drop=drop)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_mean(losses)
        return loss, tape.gradient(loss, self.model.trainable_variables), after

    def _apply_mean(self, gradients: Sequence[list[tf.Tensor]]) -> None:
        self._apply(mean(gradients, self.parts))

    def _apply(self, gradients: list[tf.Tensor]) -> None:
        self.optimizer.apply(gradients, self.model.trainable_variables)

    def evaluate(self, holdout: Holdout) -> float:
        """The mean loss of the hold-out in nats a character."""
        return holdout.mean(*self.measure(holdout))

    def measure(self, holdout: Holdout, worker: int = 0, workers: int = 1) -> tuple[float, int]:
        """A worker's share of `evaluate`; see `Evaluator.measure`."""
        return self._evaluator.measure(self.weights(), holdout, worker, workers)

    def weights(self) -> list[np.ndarray]:
        """The weights, in Keras's order."""
        return [variable.numpy() for variable in self.model.trainable_variables]

    def arrays(self) -> dict[str, np.ndarray]:
        """All that changes while it learns, by name: weights, optimizer, carried state."""
        arrays = {}
        for kind, variables in self._variables().items():
            for number, variable in enumerate(variables):
                arrays[f"{kind}/{number}"] = variable.numpy()
        return arrays

    def _variables(self) -> dict[str, list]:
        return {
            "weights": self.model.trainable_variables,
            "optimizer": self.optimizer.variables,
            "carried": [state for layer in self.carried for state in layer],
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take back what `arrays` gave.

        Raises:
            TextgenError: they are of another model or optimizer.
        """
        check_arrays(arrays, self.arrays())
        for kind in ("weights", "optimizer"):
            for number, variable in enumerate(self._variables()[kind]):
                variable.assign(arrays[f"{kind}/{number}"])
        numbers = count()
        self.carried = [
            [tf.constant(arrays[f"carried/{next(numbers)}"]) for _ in layer]
            for layer in self.carried
        ]
