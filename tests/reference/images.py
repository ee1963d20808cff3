#!/usr/bin/env python3
"""Write tests/reference/images/: small pictures of every kind, and what Pillow and PyTorch make of them.

    images.py          needs Pillow, numpy and torch

pictures/ holds pictures of 5 rows and 7 columns. For all of them, sorted by name: rgb.raw is Pillow's conversion to RGB,
grey.raw the rounded 0.299 r + 0.587 g + 0.114 b of that, rgba.raw with alpha; bilinear.raw and nearest.raw are float32 of
rgb.raw at 8 x 3 by torch (interpolate, align_corners=False; nearest-exact). refused/ holds what must be refused."""
import os
import struct
import zlib

import numpy as np
import torch
from PIL import Image

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")
os.makedirs(here + "/pictures", exist_ok=True)
os.makedirs(here + "/refused", exist_ok=True)
rng = np.random.default_rng(7)
ROWS, COLUMNS = 5, 7
base = rng.integers(0, 256, (ROWS, COLUMNS, 4), dtype=np.uint8)
ramp = (np.arange(ROWS)[:, None, None] * 30 + np.arange(COLUMNS)[:, None] * 15 + np.arange(3) * 10).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(name, depth, colour, rows, interlace=0, extra=b""):
    """A PNG file of rows that are packed already, each without its filter byte."""
    data = b"".join(b"\0" + r for r in rows)
    header = struct.pack(">IIBBBBB", COLUMNS, ROWS, depth, colour, 0, 0, interlace)
    with open(f"{here}/pictures/{name}", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data, 9)) +
                chunk(b"IEND", b""))


def adam7(a):
    passes = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1)]
    for r, dr, c, dc in passes:
        for row in a[r::dr, c::dc]:
            if len(row):
                yield row.tobytes()


wanted = {}  # by name: RGBA


def keep(name, rgb, alpha=None):
    alpha = np.full((ROWS, COLUMNS), 255, np.uint8) if alpha is None else alpha
    wanted[name] = np.dstack([rgb, alpha]).astype(np.uint8)


def grey3(a):
    return np.dstack([a, a, a])


def by_pillow(name, image, **options):
    path = f"{here}/pictures/{name}"
    image.save(path, **options)
    keep(name, np.asarray(Image.open(path).convert("RGB")))


rgb, alpha, grey = base[..., :3], base[..., 3], base[..., 0]
png("rgb.png", 8, 2, [r.tobytes() for r in rgb])
keep("rgb.png", rgb)
png("interlaced.png", 8, 2, adam7(rgb), interlace=1)
keep("interlaced.png", rgb)
png("rgba.png", 8, 6, [r.tobytes() for r in base])
keep("rgba.png", rgb, alpha)
png("grey.png", 8, 0, [r.tobytes() for r in grey])
keep("grey.png", grey3(grey))
png("grey_alpha.png", 8, 4, [r.tobytes() for r in base[..., [0, 3]]])
keep("grey_alpha.png", grey3(grey), alpha)
wide = rng.integers(0, 65536, (ROWS, COLUMNS, 3))
png("rgb16.png", 16, 2, [r.astype(">u2").tobytes() for r in wide])
keep("rgb16.png", np.rint(wide / 257))
# Gamma says how the picture is shown, not what its numbers are.
png("gamma.png", 8, 0, [r.tobytes() for r in grey], extra=chunk(b"gAMA", struct.pack(">I", 100000)))
keep("gamma.png", grey3(grey))
bits = grey > 127
png("bits.png", 1, 0, [np.packbits(r).tobytes() for r in bits])
keep("bits.png", grey3(bits * 255))
palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
number = base[..., 1] % 4
packed = [np.packbits(np.unpackbits(r[:, None].astype(np.uint8), axis=1)[:, 6:].ravel()).tobytes() for r in number]
png("palette.png", 2, 3, packed, extra=chunk(b"PLTE", palette.tobytes()) + chunk(b"tRNS", bytes([0, 128])))
keep("palette.png", palette[number], np.array([0, 128, 255, 255])[number])
by_pillow("baseline.jpg", Image.fromarray(ramp), quality=90)
by_pillow("halved.JPEG", Image.fromarray(ramp), quality=60, subsampling=2)
by_pillow("progressive.jpg", Image.fromarray(ramp), quality=80, progressive=True)
by_pillow("grey.jpg", Image.fromarray(ramp[..., 0]), quality=90)
by_pillow("plain.ppm", Image.fromarray(rgb))
by_pillow("plain.pgm", Image.fromarray(grey))
with open(f"{here}/pictures/wide.pgm", "wb") as f:
    f.write(b"P5 # two bytes a number\n7 5\n1000\n" + (wide[..., 0] % 1001).astype(">u2").tobytes())
keep("wide.pgm", grey3(np.floor((wide[..., 0] % 1001) * 255 / 1000 + 0.5)))

Image.fromarray(base).convert("RGB").convert("CMYK").save(f"{here}/refused/cmyk.jpg", quality=50)
for name, cut in ("progressive.jpg", 60), ("rgb.png", 30), ("interlaced.png", 8), ("plain.ppm", 1):
    with open(f"{here}/pictures/{name}", "rb") as f, open(f"{here}/refused/cut_{name}", "wb") as g:
        g.write(f.read()[:-cut])

names = sorted(wanted)
rgba = np.stack([wanted[n] for n in names])
rgba.tofile(f"{here}/rgba.raw")
three = np.ascontiguousarray(rgba[..., :3])
three.tofile(f"{here}/rgb.raw")
((three.astype(int) @ [299, 587, 114] + 500) // 1000).astype(np.uint8).tofile(f"{here}/grey.raw")
x = torch.tensor(three).permute(0, 3, 1, 2).float()
for name, options in ("bilinear", {"align_corners": False}), ("nearest-exact", {}):
    y = torch.nn.functional.interpolate(x, (8, 3), mode=name, **options)
    y.permute(0, 2, 3, 1).contiguous().numpy().tofile(f"{here}/{name.split('-')[0]}.raw")
