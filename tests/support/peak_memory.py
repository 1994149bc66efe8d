"""Peak memory of this process, as Linux counts it for the program that runs now.

`ru_maxrss` will not do: a process starts with that of the one that forked it, and a test
process that has imported TensorFlow is larger than anything measured here.
"""

from pathlib import Path


def peak_kilobytes() -> int:
    """Largest resident memory since the program started, in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise OSError("this system does not tell the peak memory of a process")
