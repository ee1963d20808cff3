#!/usr/bin/env python3
"""PyTorch's side of real training: peer_training.py NET THREADS EPOCHS [--compile]

Trains a net of peer.py on Fashion-MNIST in shuffled batches of 128, from Lamina's initialisers and at its rate, and
writes a line of examples a second for each epoch. PyTorch at its best: of memory formats and implementations of Adam
the fastest of a trial, pixels converted to floats beforehand, and numbers that are slow to compute with flushed to 0.
"""
import sys
import time

import torch
import torch.nn as nn

import peer
from accuracy import idx, images
from peer_torch import candidates, trial

BATCH, RATE = 128, 1e-3


def chosen_candidate(net, compiled):
    best = None
    for c in candidates(net, BATCH, compiled):
        seconds = trial(c.train)
        if not best or seconds < best[0]:
            best = seconds, c
    return best[1]


def initialize(c):
    for p in c.model.parameters():
        nn.init.xavier_uniform_(p) if p.dim() > 1 else nn.init.zeros_(p)
    c.restart()
    c.set_rate(RATE)


def epoch(c, image, label):
    order = torch.randperm(len(image))
    for i in range(0, len(image), BATCH):
        some = order[i:i + BATCH]
        c.x, c.y = image[some], label[some]
        if c.x.dim() == 4:
            c.x = c.x.contiguous(memory_format=c.format)
        c.train()


def main(net, threads, epochs, compiled):
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    image, label = images("train-images-idx3-ubyte.gz"), idx("train-labels-idx1-ubyte.gz", 8).long()
    image = image.unsqueeze(1) if net == "cnn" else image.flatten(1)
    c = chosen_candidate(net, compiled)
    initialize(c)
    for _ in range(epochs):
        start = time.perf_counter()
        epoch(c, image, label)
        peer.say(len(image) / (time.perf_counter() - start))


if __name__ == "__main__":
    words = [w for w in sys.argv[1:] if w != "--compile"]
    main(words[0], int(words[1]), int(words[2]), "--compile" in sys.argv)
