"""Write real digits that move, as real MP4 files whose class is the motion.

The look carries no label: every motion has every digit, and the test clips show
scans that no training clip shows.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from sklearn.datasets import load_digits

from mmdyt.fileio import atomic_path

# What a motion changes from the first to the last frame:
# pixels to the right, pixels down, natural logarithm of the size, degrees.
MOTIONS = {
    "left": (-10, 0, 0, 0),
    "right": (10, 0, 0, 0),
    "up": (0, -10, 0, 0),
    "down": (0, 10, 0, 0),
    "grow": (0, 0, 0.8, 0),
    "shrink": (0, 0, -0.8, 0),
    "spin": (0, 0, 0, 120),
    "still": (0, 0, 0, 0),
}
SIZE = 28


def render_motion(
    scan: NDArray, motion: str, rng: np.random.Generator, num_frames: int = 16
) -> NDArray:
    """Move one scan.

    Place, size, tilt and speed are drawn; a spin goes either way.

    Args:
        scan: A digit, ``(8, 8)``, values in [0, 16].
        motion: A key of :data:`MOTIONS`.
        rng: Source of the draws.
        num_frames: Frames ``T``. Defaults to 16.

    Returns:
        Frames, ``(T, 28, 28, 3)``, uint8.
    """
    right, down, growth, turn = np.array(MOTIONS[motion]) * rng.uniform(0.8, 1.2)
    turn *= rng.choice([-1, 1])
    x, y = SIZE / 2 + rng.uniform(-2, 2, size=2)
    scale, tilt = rng.uniform(1.4, 1.9), rng.uniform(-15, 15)
    image = (scan * 255 / 16).astype(np.uint8)
    frames = []
    for time in np.linspace(-0.5, 0.5, num_frames):
        matrix = cv2.getRotationMatrix2D(
            (3.5, 3.5), tilt + turn * time, scale * np.exp(growth * time)
        )
        matrix[:, 2] += (x - 3.5 + right * time, y - 3.5 + down * time)
        frame = cv2.warpAffine(image, matrix, (SIZE, SIZE), flags=cv2.INTER_CUBIC)
        frames.append(cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB))
    return np.stack(frames)


def write_video(target: Path, frames: NDArray, fps: float = 8.0) -> None:
    """Write an MP4 file, atomically.

    Args:
        target: The file.
        frames: RGB, ``(T, H, W, 3)``, uint8.
        fps: Frames per second. Defaults to 8.

    Raises:
        OSError: If OpenCV has no encoder for it.
    """
    height, width = frames.shape[1:3]
    with atomic_path(target) as path:
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(path), codec, fps, (width, height))
        if not writer.isOpened():
            raise OSError(f"this OpenCV cannot write {target} (codec mp4v)")
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        writer.release()


def write_motion_videos(root: Path, num_train: int = 320, num_test: int = 160) -> None:
    """Write the data set with mmaction2's lists; files that are there are kept.

    Args:
        root: Folder to write to: ``videos/*.mp4``, ``train.txt``, ``test.txt``.
        num_train: Training clips. Defaults to 320.
        num_test: Test clips. Defaults to 160.
    """
    scans = load_digits().images
    order = np.random.default_rng(0).permutation(len(scans))
    lines = []
    for index in track(range(num_train + num_test), "Writing videos", transient=True):
        label = index % len(MOTIONS)
        motion = list(MOTIONS)[label]
        name = f"videos/{index:04d}.mp4"
        if not (root / name).exists():
            rng = np.random.default_rng([0, index])
            write_video(root / name, render_motion(scans[order[index]], motion, rng))
        lines.append(f"{name} {label}\n")
    for split, members in (("train", lines[:num_train]), ("test", lines[num_train:])):
        with atomic_path(root / f"{split}.txt") as path:
            path.write_text("".join(members))
