#!/usr/bin/env python3
"""Values for tests/unit/test_runtime_augment.c: a picture under a warp by PyTorch's grid_sample, beyond the edge as
each rule says. tests/reference/warp_values.py > tests/reference/warp_values.txt"""
import torch

ROWS, COLUMNS, CHANNELS = 5, 7, 2
M = [0.875, -0.5, 1.25, 0.375, 1.125, -1.75]  # row, column of the source by row, column of the result

picture = torch.tensor([(37 * i * i + 11 * i) % 101 for i in range(ROWS * COLUMNS * CHANNELS)], dtype=torch.float32)
picture = picture.reshape(ROWS, COLUMNS, CHANNELS).permute(2, 0, 1)[None]
r, c = torch.meshgrid(torch.arange(ROWS, dtype=torch.float32), torch.arange(COLUMNS, dtype=torch.float32),
                      indexing="ij")
y, x = M[0] * r + M[1] * c + M[2], M[3] * r + M[4] * c + M[5]
grid = torch.stack([(2 * x + 1) / COLUMNS - 1, (2 * y + 1) / ROWS - 1], -1)[None]

print("matrix", *("%.9g" % m for m in M))
for name, mode in ("constant", "zeros"), ("nearest", "border"), ("reflect", "reflection"):
    out = torch.nn.functional.grid_sample(picture, grid, "bilinear", mode, align_corners=False)
    print(name, *("%.6g" % v for v in out[0].permute(1, 2, 0).flatten().tolist()))
