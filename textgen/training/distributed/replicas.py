"""A learner on each device, kept equal: each learns from its rows, and their gradients are summed.

Every replica has the same weights and makes the same update, from the sum that TensorFlow's
all-reduce gives to each with the same bits. Its carried state is of its own rows.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from textgen.config import ModelConfig, TrainConfig
from textgen.storage.state import check_arrays
from textgen.text.batches import Batch
from textgen.text.parts import Holdout
from textgen.training.core_parts import mean
from textgen.training.distributed.devices import Devices
from textgen.training.learner import Learner
from textgen.training.model import States
from textgen.training.progress import completed


class Replicas:
    """The learners of one worker, in step with those of the others.

    It serves the training loop as a `Learner` does.

    Args:
        config: the architecture.
        train: the run.
        vocabulary_size: distinct characters.
        devices: where it trains; they divide the batch.
        ballot: gives what this worker sends the others with each step, float64 (any,).

    Attributes:
        tally: the sum of all workers' ballots of the latest step.
    """

    def __init__(
        self,
        config: ModelConfig,
        train: TrainConfig,
        vocabulary_size: int,
        devices: Devices,
        ballot: Callable[[], np.ndarray],
    ):
        assert devices.strategy is not None
        self.devices, self.strategy = devices, devices.strategy
        self.ballot, self.tally = ballot, ballot()
        self.batch_size = train.batch_size
        self.learners = []
        for device, rows in zip(devices.local, devices.rows(train.batch_size), strict=True):
            with tf.device(device):
                self.learners.append(Learner(config, train, vocabulary_size, rows, devices.sharing))
        self.model = self.learners[0].model
        self._step = tf.function(self._train_step, autograph=False)

    def step(self, number: int, batch: Batch, learning_rate: float) -> float:
        """Train on one batch.

        Args:
            number: of the step; dropout masks depend on it.
            batch: this worker's rows of the global batch.
            learning_rate: for this step.

        Returns:
            The global batch's mean loss in nats a character, before the update.
        """
        keep = (~batch.fresh).astype(np.float32)[:, None]
        size = self.batch_size // self.devices.replicas
        shares = []
        for index, learner in enumerate(self.learners):
            learner.optimizer.learning_rate.assign(learning_rate)
            own = slice(index * size, (index + 1) * size)
            shares.append((batch.inputs[own], batch.targets[own], keep[own], learner.carried))
        with self.devices.lost_workers_named():
            summed, carried = self._step(shares, tf.constant(number, tf.int64), self.ballot())
            summed = summed.numpy()
        for learner, after in zip(self.learners, carried, strict=True):
            learner.carried = after
        self.tally = summed[1:]
        return float(summed[0])

    def _train_step(
        self, shares: list, number: tf.Tensor, ballot: tf.Tensor
    ) -> tuple[tf.Tensor, list[States]]:
        def of_replica() -> tuple[tf.Tensor, tf.Tensor, States]:
            context = tf.distribute.get_replica_context()
            index = tf.get_static_value(context.replica_id_in_sync_group) - self.devices.first
            learner = self.learners[index]
            inputs, targets, keep, carried = shares[index]
            losses, gradients, after = learner.parted(inputs, targets, keep, number, carried)
            gradient = _flat(mean(gradients, learner.parts)) / self.devices.replicas
            loss = tf.cast(mean(losses, learner.parts) / self.devices.replicas, tf.float64)
            own = tf.concat([[loss], ballot if index == 0 else tf.zeros_like(ballot)], 0)
            return context.all_reduce("SUM", gradient), context.all_reduce("SUM", own), after

        def local(value: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return self.strategy.experimental_local_results(value)

        gradients, summed, after = self.strategy.run(of_replica)
        for learner, device, gradient in zip(
            self.learners, self.devices.local, local(gradients), strict=True
        ):
            with tf.device(device):
                learner.update(_shaped(gradient, learner.model.trainable_variables))
        carried = [
            tf.nest.map_structure(lambda state, i=index: local(state)[i], after)
            for index in range(len(self.learners))
        ]
        return local(summed)[0], carried

    def evaluate(self, holdout: Holdout) -> float:
        """The mean loss of the hold-out, of which each worker measures a share.

        See `Learner.evaluate`. In float64 the sum hardly depends on the number of workers.
        """
        with tf.device(self.devices.local[0]):
            own = self.learners[0].measure(holdout, self.devices.worker, self.devices.workers)
        total, counted = self.devices.sum(np.array(own, np.float64))
        return holdout.mean(float(total), int(counted))

    def weights(self) -> list[np.ndarray]:
        """The weights, in Keras's order."""
        return self.learners[0].weights()

    def arrays(self) -> dict[str, np.ndarray]:
        """All that changes while it learns, by name, with the carried state of all rows."""
        arrays = self.learners[0].arrays()
        for name in arrays:
            if name.startswith("carried/"):
                states = [learner.arrays()[name] for learner in self.learners]
                arrays[name] = self._gathered(np.concatenate(states))
        return arrays

    def _gathered(self, own: np.ndarray) -> np.ndarray:
        """The rows (batch_size, ...) of all workers, from those of this one."""
        if self.devices.alone:
            return own
        rows = np.zeros((self.batch_size, *own.shape[1:]), own.dtype)
        start = self.learners[0].rows.start
        rows[start : start + len(own)] = own
        return self.devices.sum(rows)

    def begin(self, arrays: dict[str, np.ndarray] | None) -> None:
        """Begin with what `arrays` gave: on all workers with what the chief has.

        Args:
            arrays: a saved state, on the chief; None begins with the chief's new weights, because
                those of another machine may be rounded otherwise.

        Raises:
            TextgenError: they are of another model or optimizer.
        """
        own = self.learners[0].arrays()
        for name, array in own.items():
            if name.startswith("carried/"):
                own[name] = np.zeros((self.batch_size, *array.shape[1:]), array.dtype)
        saved = completed(arrays or {}, own)
        self.devices.together(lambda: check_arrays(saved, own))
        begun = {name: self.devices.of_chief(saved[name]) for name in own}
        for learner, device in zip(self.learners, self.devices.local, strict=True):
            share = {
                name: array[learner.rows] if name.startswith("carried/") else array
                for name, array in begun.items()
            }
            with tf.device(device):
                learner.restore(share)


def _flat(gradients: list[tf.Tensor]) -> tf.Tensor:
    """All gradients as one vector, so that one exchange carries them."""
    return tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], 0)


def _shaped(flat: tf.Tensor, like: list) -> list[tf.Tensor]:
    """The gradients in the shapes of their variables."""
    parts = tf.split(flat, [int(np.prod(variable.shape)) for variable in like])
    return [tf.reshape(part, variable.shape) for part, variable in zip(parts, like, strict=True)]
