"""No kill, full disk or crowd harms a checkpoint; a naive writer would have been caught."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from lnn_nav.archive import Kind, read_archive, write_archive

TEST = Kind("test")

WRITER = """
import sys
import numpy as np
from pathlib import Path
from lnn_nav.archive import Kind, write_archive

folder, how = Path(sys.argv[1]), sys.argv[2]
count = 0
while True:
    count += 1
    values = {"a": np.full(60_000, count, np.int64), "b": np.full(60_000, count, np.int64)}
    if how == "whole":
        write_archive(folder, Kind("test"), values, {"count": count})
    else:
        folder.mkdir(exist_ok=True)
        for name, array in values.items():
            (folder / name).write_bytes(array.tobytes())
    if count == 3:
        print("writing", flush=True)
"""


def killed_writer(folder: Path, how: str, wait: float) -> None:
    """Let a process write over and over, and kill it in the middle of it."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), how], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None and writer.stdout.readline() == b"writing\n"
    time.sleep(wait)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()


def is_whole(folder: Path, how: str) -> bool:
    if how == "whole":
        arrays, content = read_archive(folder, TEST)
        return all((array == content["count"]).all() for array in arrays.values())
    values = [np.frombuffer((folder / name).read_bytes(), np.int64) for name in "ab"]
    return all(v.size == 60_000 and (v == values[0][0]).all() for v in values)


def test_a_killed_writer_leaves_a_whole_archive(tmp_path):
    draws = random.Random(8)
    for _ in range(6):
        killed_writer(tmp_path, "whole", draws.uniform(0, 0.05))
        assert is_whole(tmp_path, "whole")
    # What the killed left behind is gone after the next save.
    write_archive(tmp_path, TEST, {"a": np.zeros(2)}, {})
    assert len(list(tmp_path.iterdir())) == 2


def test_a_naive_writer_would_be_caught(tmp_path):
    draws = random.Random(9)
    verdicts = []
    while len(verdicts) < 12 and all(verdicts):
        killed_writer(tmp_path, "naive", draws.uniform(0, 0.05))
        verdicts.append(is_whole(tmp_path, "naive"))
    assert not all(verdicts)


def test_a_reader_never_meets_a_mixture(tmp_path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), "whole"], stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None and writer.stdout.readline() == b"writing\n"
        assert all(is_whole(tmp_path, "whole") for _ in range(150))
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


FULL = """
import resource, signal, sys
import numpy as np
from lnn_nav.archive import Kind, write_archive

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_archive(sys.argv[1], Kind("test"), {"a": np.zeros(60_000)}, {"count": 0})
except OSError as error:
    print("full", error)
"""


def test_a_full_disk_costs_nothing(tmp_path):
    write_archive(tmp_path, TEST, {"a": np.full(9, 4)}, {"count": 4})
    before = sorted(path.name for path in tmp_path.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("full"), done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert is_whole(tmp_path, "whole")
