"""The images of a run as a data module of Lightning."""

from __future__ import annotations

import pytorch_lightning as pl

from genspot.data.image_data import ImageData


class ImageDataModule(ImageData, pl.LightningDataModule):
    """Batches of `uint8` images for Lightning's trainer; see `ImageData`."""

    # Lightning restores the state of a loader only if it was made after the checkpoint was read,
    # and a learning rate schedule that asks for the number of steps has it made before.
    def state_dict(self) -> dict[str, int]:
        """Return the position in the training set, for the checkpoint."""
        return self.train_loader.state_dict() if self.train_loader else {}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let `train_dataloader` continue at a position in the training set."""
        self.resume_state = state_dict
