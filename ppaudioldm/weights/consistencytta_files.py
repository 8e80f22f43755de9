"""The files of a ConsistencyTTA checkpoint, by name."""

from __future__ import annotations

from pathlib import Path

UNET_FILE, VAE_FILE = "unet_state_dict.pt", "vae_state_dict.pt"
T5_FOLDER = "flan-t5-large"  # beside them; without it FLAN-T5 is fetched from T5_REPO
T5_REPO, T5_FILE = "google/flan-t5-large", "model.safetensors"


def is_consistencytta(folder: Path) -> bool:
    """Whether `folder` holds the published files."""
    return (folder / UNET_FILE).exists() and (folder / VAE_FILE).exists()


def is_part(path: Path) -> bool:
    """Whether the file `path` is one of the published files, which need each other."""
    return path.name in (UNET_FILE, VAE_FILE) and is_consistencytta(path.parent)


def consistencytta_files(folder: Path) -> list[Path]:
    """The files with weights that may be read of the checkpoint in `folder`."""
    t5 = [file for pattern in ("*.json", "*.safetensors", "*.bin") for file in (folder / T5_FOLDER).glob(pattern)]
    return [folder / UNET_FILE, folder / VAE_FILE, *t5]
