"""The published degradations as albumentations transforms: blur and JPEG."""
