"""The devices that train together: one, several of this machine, or those of several workers.

The distribution is TensorFlow's own (`tf.distribute`). Here is what training needs of it: which
rows of a batch are whose, sums over all workers, and the end of a wait for a worker that died.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import numpy as np
import tensorflow as tf

from textgen.errors import TextgenError
from textgen.training.distributed.cluster import Cluster, meet

HEARTBEAT_SECONDS = 10  # without a sign of life after which a worker counts as dead
START_SECONDS = 60  # that TensorFlow may take to connect workers that have met
TASK = re.compile(r"/job:worker/(?:replica:0/)?task:(\d+)")  # as TensorFlow names a worker
# What TensorFlow raises when a worker is gone; other errors may have this cause.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)

T = TypeVar("T")


class Devices:
    """The devices that train one model, as one worker sees them.

    Args:
        strategy: TensorFlow's; None where one device trains alone.
        cluster: the workers; None where there is one.

    Attributes:
        strategy: as given.
        local: names of this worker's devices, a replica on each.
        workers: how many processes train together.
        worker: which of them this is.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy | None = None, cluster: Cluster | None = None
    ):
        self.strategy = strategy
        self.local: tuple[str, ...] = strategy.extended.worker_devices if strategy else ("",)
        self.cluster = cluster
        self.workers = len(cluster.addresses) if cluster else 1
        self.worker = cluster.index if cluster else 0

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes files and decides for all."""
        return self.worker == 0

    @property
    def alone(self) -> bool:
        """Whether this process trains without others."""
        return self.workers == 1

    @property
    def replicas(self) -> int:
        """How many devices train together, on all workers."""
        return len(self.local) * self.workers

    @property
    def first(self) -> int:
        """The number of this worker's first replica."""
        return self.worker * len(self.local)

    @property
    def sharing(self) -> int:
        """How many replicas share the cores of this machine."""
        return len(self.local) * (self.cluster.here if self.cluster else 1)

    def rows(self, batch_size: int) -> list[slice]:
        """The rows of the global batch that each of this worker's replicas takes."""
        size = batch_size // self.replicas
        replicas = range(self.first, self.first + len(self.local))
        return [slice(replica * size, (replica + 1) * size) for replica in replicas]

    def sum(self, array: np.ndarray) -> np.ndarray:
        """The sum of the workers' arrays, the same bits on each; a barrier too.

        Args:
            array: float32, float64, int32 or int64, of one shape on all workers.

        Raises:
            TextgenError: a worker cannot be reached any more.
        """
        if self.strategy is None or self.alone:
            return array
        own = self.strategy.experimental_distribute_values_from_function(
            lambda replica: tf.constant(
                array if replica.replica_id_in_sync_group == self.first else np.zeros_like(array)
            )
        )
        with self.lost_workers_named():
            return self.strategy.reduce(tf.distribute.ReduceOp.SUM, own, axis=None).numpy()

    def wait(self) -> None:
        """Wait until all workers are here."""
        self.sum(np.zeros(1, np.int32))

    def of_chief(self, array: np.ndarray) -> np.ndarray:
        """The chief's array, on every worker; the others give one of its shape and dtype."""
        return self.sum(array if self.is_chief else np.zeros_like(array))

    def bytes_of(self, worker: int, data: bytes) -> bytes:
        """What one worker says, on every worker."""
        own = data if worker == self.worker else b""
        length = int(self.sum(np.array([len(own)], np.int64))[0])
        padded = np.frombuffer(own.ljust(length, b"\0"), np.uint8).astype(np.int32)
        return self.sum(padded).astype(np.uint8).tobytes()

    def together(self, work: Callable[[], T]) -> T:
        """Do something that may fail on one worker; then it fails on all.

        Raises:
            TextgenError: of this worker, or one that names the first that failed.
        """
        if self.alone:
            return work()
        mistake, result = None, None
        try:
            result = work()
        except TextgenError as error:
            mistake = error
        failed = np.zeros(self.workers, np.int32)
        failed[self.worker] = mistake is not None
        failures = np.flatnonzero(self.sum(failed))
        if len(failures):
            reason = self.bytes_of(int(failures[0]), str(mistake).encode())
            if mistake:
                raise mistake
            assert self.cluster is not None
            name = self.cluster.name(int(failures[0]))
            raise TextgenError(f"Stopped, because of {name}: {reason.decode()}")
        return result  # type: ignore[return-value]

    @contextmanager
    def lost_workers_named(self) -> Iterator[None]:
        """Turn what TensorFlow raises when a worker is gone into one line."""
        try:
            yield
        except tf.errors.OpError as error:
            if self.cluster is None:
                raise
            gone = self.cluster.unreachable()
            if not gone and not isinstance(error, LOST):
                raise
            suspects = {int(task) for task in TASK.findall(str(error))} - {self.worker}
            # Heartbeats go to the chief: where none is named, it does not answer them.
            names = [self.cluster.name(index) for index in gone or sorted(suspects) or [0]]
            raise TextgenError(
                f"Lost {', '.join(names[:8])}, which ended or cannot be reached. The last saved "
                "state is kept: start all workers again with --resume."
            ) from None


def several(wanted: int | str) -> Devices:
    """Devices of this machine.

    Args:
        wanted: how many, or `all`: every GPU, or the CPU. Without GPUs, so many logical
            devices share the CPU.

    Raises:
        TextgenError: there are GPUs, but not so many.
    """
    gpus = tf.config.list_physical_devices("GPU")
    number = max(1, len(gpus)) if wanted == "all" else int(wanted)
    if gpus and number > len(gpus):
        raise TextgenError(
            f"--devices {number} is more than the {len(gpus)} GPUs of this machine. "
            "Ask for fewer, or for all."
        )
    if number == 1:
        return Devices()
    if not gpus:
        (cpu,) = tf.config.list_physical_devices("CPU")
        logical = [tf.config.LogicalDeviceConfiguration()] * number
        tf.config.set_logical_device_configuration(cpu, logical)
    kind = "GPU" if gpus else "CPU"
    return Devices(tf.distribute.MirroredStrategy([f"/{kind}:{k}" for k in range(number)]))


def joined(
    cluster: Cluster,
    wanted: int | str | None,
    seconds: float,
    connecting: AbstractContextManager[object],
) -> Devices:
    """The devices of all workers of a job, once these have met.

    Args:
        cluster: the workers.
        wanted: how many GPUs each worker uses; all if None.
        seconds: to wait for the others.
        connecting: is entered while TensorFlow connects, which should take `START_SECONDS` at most.

    Raises:
        TextgenError: a worker did not come, or cannot be one.
    """
    _choose_gpus(wanted)
    meet(cluster, seconds)
    try:
        with connecting:
            return Devices(_multi_worker_strategy(cluster), cluster)
    except tf.errors.OpError as error:
        raise TextgenError(
            f"The workers could not be connected: {error.message.splitlines()[0]}. "
            "Start all of them again."
        ) from None


def _choose_gpus(wanted: int | str | None) -> None:
    gpus = tf.config.list_physical_devices("GPU")
    number = max(1, len(gpus)) if wanted in (None, "all") else int(wanted)
    if number > max(1, len(gpus)):
        raise TextgenError(
            f"--devices {number} is more than this worker has: {len(gpus)} GPUs. "
            "A worker without GPUs is one device; start more workers."
        )
    tf.config.set_visible_devices(gpus[:number], "GPU")


def _multi_worker_strategy(cluster: Cluster) -> tf.distribute.Strategy:
    """TensorFlow's strategy, with a heartbeat that shows within seconds that a worker is dead."""
    # No public names: imported here, so that a TensorFlow without them still trains on one machine.
    from tensorflow.compiler.xla.tsl.protobuf.coordination_config_pb2 import CoordinatedJob
    from tensorflow.python.eager import context

    job = CoordinatedJob(name="worker", num_tasks=len(cluster.addresses))
    context.context().configure_coordination_service(
        "standalone",
        service_leader="/job:worker/replica:0/task:0",
        heartbeat_timeout_in_ms=HEARTBEAT_SECONDS * 1000,
        cluster_register_timeout_in_ms=START_SECONDS * 1000,
        shutdown_barrier_timeout_in_ms=1000,
        coordinated_jobs=[job],
    )
    gpus = tf.config.get_visible_devices("GPU")
    communication = tf.distribute.experimental.CommunicationImplementation
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.index,
        num_accelerators={"GPU": len(gpus)},
        rpc_layer="grpc",
    )
    return tf.distribute.MultiWorkerMirroredStrategy(
        resolver,
        tf.distribute.experimental.CommunicationOptions(
            implementation=communication.AUTO if gpus else communication.RING
        ),
    )
