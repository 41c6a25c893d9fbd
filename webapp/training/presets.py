"""Presets: what a lawyer chooses instead of a learning rate."""

from __future__ import annotations

from dataclasses import dataclass

from webapp.training.spec import TrainingSpec

BATCH = 4
# The most optimiser steps that Quick takes: a run stays in minutes on two cores whatever the dataset's size.
QUICK_STEPS = 48


@dataclass(frozen=True)
class Preset:
    name: str
    label: str
    says: str
    epochs: int
    max_steps: int
    rank: int

    def spec(self, train_examples: int) -> TrainingSpec:
        """The settings for a dataset of this size."""
        steps = -(-train_examples // BATCH) * self.epochs
        capped = self.max_steps if self.max_steps and steps > self.max_steps else 0
        return TrainingSpec(
            rank=self.rank, alpha=2.0 * self.rank, epochs=self.epochs, batch_size=BATCH, max_steps=capped
        )


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "quick", "Quick", "A first look in a few minutes: one pass over the examples.", 1, QUICK_STEPS, 16
        ),
        Preset(
            "balanced", "Balanced", "Two passes: a better ear for the style, about as long again.", 2, 0, 16
        ),
        Preset(
            "thorough", "Thorough", "Three passes at a higher rank, for an adapter that goes live.", 3, 0, 32
        ),
    )
}
