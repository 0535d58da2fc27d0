"""Changes of images as albumentations transforms: blur, JPEG compression, resizing, fitting."""
