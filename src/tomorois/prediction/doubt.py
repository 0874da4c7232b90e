"""How sure a network is: confidences about the threshold, their entropy, the Dice to expect of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

POSSIBLE = 0.1
"""Shifted confidence from which a voxel might belong to an ROI; the many below would add up to a volume."""
DOUBTFUL_DICE = 0.5
"""Expected Dice of a map below which ROIs are told to be doubtful. Networks that did well on phantoms never
seen expected 0.71 to 0.87 of themselves there; one that failed on real geometry (Dice 0.3) expected 0.4."""


def shifted_confidence(confidence: Floats, threshold: float) -> Floats:
    """Confidence (0 to 1) whose log-odds are moved so that ``threshold`` (0 to 1) becomes 0.5."""
    odds = np.float32((1.0 - threshold) / threshold)
    shifted: Floats = confidence * odds / (confidence * odds + (1 - confidence))
    return shifted


def entropy_bits(confidence: Floats) -> Floats:
    """The binary entropy (0 to 1 bit) of confidences (0 to 1)."""
    p = np.clip(confidence, 1e-7, 1.0 - 1e-7)
    entropy: Floats = -(p * np.log2(p) + (1.0 - p) * np.log2(1.0 - p))
    return entropy


def expected_dice(shifted: Floats) -> float:
    """The Dice to expect of calling everything from 0.5 on an ROI, if confidences were probabilities.

    NaN of no voxel. Expectations of the shared and of the true volume stand for the volumes themselves.
    """
    called = shifted >= 0.5
    either = np.count_nonzero(called) + shifted.sum(dtype=np.float64)
    return float(2.0 * shifted[called].sum(dtype=np.float64) / either) if either else np.nan


def expected_dice_of_map(confidence: Floats, threshold: float) -> float:
    """The Dice that a network expects of its map (0 to 1) at a threshold, of all voxels that are possible.

    NaN where none is.
    """
    lowest = shifted_confidence(np.array([POSSIBLE], np.float32), 1.0 - threshold)[0]
    return expected_dice(shifted_confidence(confidence[confidence >= lowest], threshold))
