"""The columns of the table of probes: what the audit reads of each image."""

from __future__ import annotations

import pyarrow as pa

THUMBNAIL = 32  # pixels a side

PROBE_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),  # of the image in the table of samples
        # The file and its header.
        ("format", pa.string()),  # PIL's name: "PNG", "JPEG"
        ("mode", pa.string()),  # of the stored pixels, PIL's name: "RGB", "L", "P"
        ("width", pa.int32()),  # pixels
        ("height", pa.int32()),
        ("file_bytes", pa.int64()),
        ("jpeg_quality", pa.float32()),  # 1 to 100, of IJG's formula; null: no JPEG
        ("jpeg_tables", pa.string()),  # digest of the quantization tables; null: no JPEG
        ("subsampling", pa.string()),  # of the chroma: "4:4:4", "4:2:2", "4:2:0"; null: no JPEG
        ("progressive", pa.bool_()),  # null: no JPEG
        ("metadata", pa.string()),  # kinds in the order of the alphabet: "exif,icc"; "": none
        ("software", pa.string()),  # text of the program that wrote the file; "": none
        # The decoded pixels; of a large image, those of a central part.
        ("red_mean", pa.float32()),  # 0 to 255
        ("green_mean", pa.float32()),
        ("blue_mean", pa.float32()),
        ("red_std", pa.float32()),
        ("green_std", pa.float32()),
        ("blue_std", pa.float32()),
        ("saturation", pa.float32()),  # mean of (max − min) / max of the colours, 0 to 1
        ("chroma", pa.float32()),  # 99th percentile of the distance from grey in Cb and Cr
        ("dark_share", pa.float32()),  # of the values that are 0
        ("bright_share", pa.float32()),  # of the values that are 255
        ("gradient", pa.float32()),  # log10 of the energy of first differences / variance
        ("laplacian", pa.float32()),  # log10 of the energy of the Laplacian / variance
        ("high_frequency", pa.float32()),  # log10 of the share of energy above 1/4 cycle per pixel
        # Traces of JPEG in the pixels, whatever the format.
        ("grid_strength", pa.float32()),  # 0 to 1; 0: no grid
        ("grid_quality", pa.float32()),  # of the JPEG that left it, 1 to 100; null: no grid
        ("grid_x", pa.int8()),  # column of the first whole block, 0 to 7; null: no grid
        ("grid_y", pa.int8()),
        # What finds duplicates.
        ("file_digest", pa.binary(16)),  # of the encoded bytes
        ("pixel_digest", pa.binary(16)),  # of height, width and RGB pixels
        ("phash", pa.uint64()),
        ("thumbnail", pa.binary(THUMBNAIL**2)),  # grey, uint8, row by row
    ]
)

UNREADABLE_SCHEMA = pa.schema([("row", pa.int64()), ("reason", pa.string())])
