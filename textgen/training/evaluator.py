"""The compiled measuring of a hold-out."""

from itertools import islice

import numpy as np
import tensorflow as tf

from textgen.text.batches import HoldoutBatch
from textgen.text.parts import Holdout
from textgen.training.core_parts import compiled
from textgen.training.model import StackedModel, States

EVALUATION_CHUNK = 128  # characters of a hold-out row that one call takes


class Evaluator:
    """Measures in float32, whatever the precision of training: the file that is kept has no other.

    Args:
        training: the model in training.
    """

    def __init__(self, training: StackedModel):
        self._own = training.compute_dtype != "float32"
        self.model = training
        if self._own:
            self.model = StackedModel(training.config, training.vocabulary_size)
        self._losses = compiled(self._chunk_loss)

    def measure(
        self, weights: list[np.ndarray], holdout: Holdout, worker: int = 0, workers: int = 1
    ) -> tuple[float, int]:
        """Measure a worker's share of a hold-out: each `workers`-th batch.

        Args:
            weights: of the model in training, in Keras's order.
            holdout: what is held out.
            worker: which share.
            workers: how many shares there are.

        Returns:
            The summed loss, and of how many characters.
        """
        last = self.model.config.targets == "last"
        rows = min(*((512, len(holdout.ids)) if last else (64, holdout.pieces)))
        if self._own:
            self.model.set_weights(weights)
        total, counted = 0.0, 0
        config = self.model.config
        batches = holdout.batches(config.seq_length, config.targets, rows)
        for batch in islice(batches, worker, None, workers):
            total += self._batch_loss(batch, rows)
            counted += int(batch.counted.sum())
        return total, counted

    def _batch_loss(self, batch: HoldoutBatch, rows: int) -> float:
        """The summed loss of one batch, padded to `rows`, so that one program serves all."""
        last = self.model.config.targets == "last"
        chunk = batch.inputs.shape[1] if last else EVALUATION_CHUNK
        time = -(-batch.inputs.shape[1] // chunk) * chunk
        inputs, targets, counted = (
            np.pad(array, [(0, rows - len(array)), (0, time - array.shape[1])])
            for array in (batch.inputs, batch.targets, batch.counted)
        )
        states = self.model.zero_state(rows)
        total = 0.0
        for start in range(0, time, chunk):
            part = slice(start, start + chunk)
            wanted = -1 if last else part
            loss, states = self._losses(
                inputs[:, part], targets[:, wanted], counted[:, wanted], states
            )
            total += float(loss)
        return total

    def _chunk_loss(
        self, inputs: tf.Tensor, targets: tf.Tensor, counted: tf.Tensor, states: States
    ) -> tuple[tf.Tensor, States]:
        logits, after = self.model(inputs, states)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        return tf.reduce_sum(tf.where(counted, losses, 0.0)), after
