"""A film of an episode, as a GIF or MP4 file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import UInt8

from sim.env.config import EnvConfig
from sim.env.errors import EnvError
from sim.env.extras import optional
from sim.files import write_atomically

Policy = Callable[[Any], Any]
"""From an observation to an action."""
MOST_STEPS = 10_000


def record(
    env: gymnasium.Env,
    policy: Policy,
    path: Path | str,
    *,
    seed: int | None = None,
    most_steps: int = MOST_STEPS,
) -> dict[str, Any]:
    """Fly one episode and keep it as a film, at the speed at which it was flown.

    Args:
        env: with `render_mode="rgb_array"`, wrapped or not.
        policy: who flies.
        path: of the file; `.gif`, or `.mp4` (needs the extra [video]). Whole or not at all.
        seed: of the episode.
        most_steps: the film ends there, if the episode has not.

    Returns:
        The `info` of the last step.

    Raises:
        EnvError: the environment is none of ours, or draws nothing; or another kind of file.
        MissingExtra: what writes an MP4 file is not there.
    """
    kind = Path(path).suffix.lower()
    if kind not in (".gif", ".mp4"):
        raise EnvError(f"path: expected a .gif or .mp4 file, got {str(path)!r}")
    if env.render_mode != "rgb_array":
        raise EnvError(f"env: expected render_mode='rgb_array', got {env.render_mode!r}")
    if most_steps < 1:
        raise EnvError(f"most_steps: expected 1 or more, got {most_steps!r}")
    fps = env.metadata["render_fps"]
    every = max(1, round(_control_hz(env) / fps))
    seen, info = env.reset(seed=seed)
    frames = [_picture(env)]
    for step in range(1, most_steps + 1):
        seen, _, over, late, info = env.step(policy(seen))
        last = over or late or step == most_steps
        if last or step % every == 0:
            frames.append(_picture(env))
        if last:
            break
    content = _encode(np.stack(frames), kind, fps)
    write_atomically(path, lambda file: file.write(content))
    return info


def _control_hz(env: gymnasium.Env) -> int:
    """Control steps a second [Hz] of one of our environments."""
    config = getattr(env.unwrapped, "config", None)
    if not isinstance(config, EnvConfig):
        raise EnvError(f"env: expected one of lnn_nav's, got {env.unwrapped!r}")
    return config.control_hz


def _picture(env: gymnasium.Env) -> UInt8[np.ndarray, "height width 3"]:
    return np.asarray(env.render(), np.uint8)


def _encode(frames: np.ndarray, kind: str, fps: float | int) -> bytes:
    """The bytes of a film."""
    import imageio.v3

    if kind == ".gif":
        # Hundredths of a second are all that a GIF knows.
        wait = 10 * round(100 / fps)
        return imageio.v3.imwrite("<bytes>", frames, extension=kind, duration=wait, loop=0)
    optional("imageio_ffmpeg", "video")
    return imageio.v3.imwrite("<bytes>", frames, extension=kind, plugin="FFMPEG", fps=fps)
