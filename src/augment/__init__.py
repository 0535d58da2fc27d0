"""Image degradations as albumentations transforms: blur, JPEG compression and resizing."""
