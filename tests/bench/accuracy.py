#!/usr/bin/env python3
"""Accuracy on Fashion-MNIST, Lamina beside PyTorch: the same net, initialisers, schedule and number of steps; mean of
several seeds. Debian's python3-torch is enough.

    accuracy.py LAMINA [--nets fashion_mlp,fashion_cnn] [--seeds 5] [--threads 2] [--epochs N]
"""
import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "..", "examples")
EPOCHS = {"fashion_mlp": 5, "fashion_cnn": 10}


def idx(name, offset):
    with gzip.open(os.path.join(EXAMPLES, "data", name)) as f:
        return torch.frombuffer(bytearray(f.read()[offset:]), dtype=torch.uint8)


def images(name):
    return idx(name, 16).reshape(-1, 28, 28).float() / 255


def make(net):
    if net == "fashion_mlp":
        m = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    else:
        m = nn.Sequential(nn.Unflatten(1, (1, 28)), nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10))
    for p in m.parameters():
        nn.init.xavier_uniform_(p) if p.dim() > 1 else nn.init.zeros_(p)
    return m


def pytorch(net, seed, data, epochs):
    x, y, xt, yt = data
    torch.manual_seed(seed)
    m = make(net)
    optimizer = torch.optim.Adam(m.parameters(), lr=1e-3, eps=1e-7)
    start = time.time()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for i in range(0, len(x), 128):
            chosen = order[i:i + 128]
            optimizer.zero_grad()
            F.cross_entropy(m(x[chosen]), y[chosen]).backward()
            optimizer.step()
    seconds = (time.time() - start) / epochs
    with torch.no_grad():
        right = sum((m(xt[i:i + 1000]).argmax(1) == yt[i:i + 1000]).sum().item() for i in range(0, len(xt), 1000))
    return right / len(xt), seconds


def lamina(binary, net, seed, threads, epochs):
    with tempfile.TemporaryDirectory() as out:
        yaml = os.path.join(EXAMPLES, net + ".yaml")
        start = time.time()
        subprocess.run([binary, "train", yaml, "--out=" + out, f"--seed={seed}", f"--epochs={epochs}",
                        f"--threads={threads}", "--json", "--overwrite"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        seconds = (time.time() - start) / epochs
        result = subprocess.run([binary, "eval", yaml, "--weights=" + os.path.join(out, "weights.safetensors"),
                                 "--json"], check=True, stdout=subprocess.PIPE)
        return json.loads(result.stdout)["accuracy"], seconds


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("lamina")
    arguments.add_argument("--nets", default="fashion_mlp,fashion_cnn")
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--epochs", type=int, help="instead of the examples' own")
    a = arguments.parse_args()
    torch.set_num_threads(a.threads)
    data = (images("train-images-idx3-ubyte.gz"), idx("train-labels-idx1-ubyte.gz", 8).long(),
            images("t10k-images-idx3-ubyte.gz"), idx("t10k-labels-idx1-ubyte.gz", 8).long())
    print("| net | epochs | seeds | Lamina accuracy | PyTorch accuracy | Lamina s/epoch | PyTorch s/epoch |")
    print("|---|---|---|---|---|---|---|")
    for net in a.nets.split(","):
        ours, theirs, epochs = [], [], a.epochs or EPOCHS[net]
        for seed in range(1, a.seeds + 1):
            ours.append(lamina(a.lamina, net, seed, a.threads, epochs))
            theirs.append(pytorch(net, seed, data, epochs))
            print(net, seed, ours[-1], theirs[-1], file=sys.stderr, flush=True)
        mean = lambda rows, i: sum(r[i] for r in rows) / len(rows)
        print(f"| {net} | {epochs} | {a.seeds} | {mean(ours, 0):.4f} | {mean(theirs, 0):.4f} | "
              f"{mean(ours, 1):.2f} | {mean(theirs, 1):.2f} |", flush=True)


if __name__ == "__main__":
    main()
