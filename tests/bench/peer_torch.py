#!/usr/bin/env python3
"""PyTorch's side of the bench: peer_torch.py NET BATCH THREADS RATE [--compile], or peer_torch.py contractions THREADS.

PyTorch at its best: of the memory formats and of Adam's implementations it has, the fastest that a short trial finds.
"""
import sys

import numpy
import torch
import torch.nn as nn
import torch.nn.functional as F

import peer

TRIAL = 0.3  # seconds


class Net(nn.Module):
    def __init__(self, net):
        super().__init__()
        layers = []
        for kind, *sizes in peer.NETS[net][2]:
            layers.append({"dense": lambda: nn.Linear(*sizes),
                           "conv": lambda: nn.Conv2d(*sizes, 3, padding=1),
                           "relu": nn.ReLU, "pool": lambda: nn.MaxPool2d(2), "flatten": nn.Flatten}[kind]())
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


class Candidate:
    """One way to run a net: 'last' for channels_last, 'adam' the keyword that chooses an implementation, or ''."""

    def __init__(self, net, batch, last, adam, compiled):
        self.net, self.adam = net, {adam: True} if adam else {}
        self.name = " ".join([("channels_last" if last else "contiguous")] + ([adam] if adam else []))
        image, label = peer.data(net, batch)
        self.x, self.y = torch.from_numpy(image), torch.from_numpy(label)
        self.format = torch.channels_last if last else torch.contiguous_format
        self.model = Net(net)
        if self.x.dim() == 4:
            self.x = self.x.permute(0, 3, 1, 2).contiguous(memory_format=self.format)
            self.model = self.model.to(memory_format=self.format)
        self.restart()
        wrap = torch.compile if compiled else lambda f: f
        self.loss = wrap(lambda x, y: F.cross_entropy(self.model(x), y))
        self.forward = wrap(self.model)

    def restart(self):
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=peer.RATE, eps=peer.EPSILON, **self.adam)

    def set_rate(self, rate):
        self.optimizer.param_groups[0]["lr"] = rate

    def set_start_values(self):
        flat, values = None, iter(peer.parameters(self.net))
        with torch.no_grad():
            for (kind, *sizes), layer in zip(peer.NETS[self.net][2], self.model.layers):
                if kind == "flatten":
                    flat = sizes
                if kind not in ("dense", "conv"):
                    continue
                weight, bias = next(values)
                if kind == "conv":
                    weight = weight.transpose(3, 2, 0, 1)
                elif flat:  # rows are in the order rows, columns, channels; ours are channels first
                    weight = weight.reshape(*flat, -1).transpose(2, 0, 1, 3).reshape(sizes).T
                    flat = None
                else:
                    weight = weight.T
                layer.weight.copy_(torch.from_numpy(numpy.ascontiguousarray(weight)))
                layer.bias.copy_(torch.from_numpy(bias))
        self.restart()

    def train(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.x, self.y)
        loss.backward()
        self.optimizer.step()
        return loss

    def infer(self):
        with torch.inference_mode():
            return self.forward(self.x)


def candidates(net, batch, compiled):
    for last in (True, False) if net == "cnn" else (False,):
        for adam in ("", "fused") if compiled else ("", "foreach", "fused"):
            try:
                c = Candidate(net, batch, last, adam, compiled)
                c.train()
                yield c
            except (TypeError, RuntimeError):
                pass  # this version has no such Adam, or not here


def trial(operation):
    operation()
    return peer.seconds_of(operation, TRIAL)


def losses(c, rate):
    c.set_start_values()
    c.set_rate(rate)
    out = [c.train().item() for _ in range(peer.CHECKED_STEPS)]
    c.set_rate(peer.RATE)
    return out


def run_net(net, batch, rate, compiled):
    Candidate(net, batch, net == "cnn", "", compiled).train()
    peer.say("first", peer.peak_memory())
    trainer = inferrer = None
    for c in candidates(net, batch, compiled):
        times = trial(c.train), trial(c.infer)
        if not trainer or times[0] < trainer[0]:
            trainer = times[0], c
        if not inferrer or times[1] < inferrer[0]:
            inferrer = times[1], c
    peer.say("losses", *[f"{v:.9g}" for v in losses(trainer[1], rate)])
    peer.say(f"note {torch.__version__}, train: {trainer[1].name}, infer: {inferrer[1].name}, "
             f"package={peer.package_bytes(torch)}")
    peer.serve({"train": trainer[1].train, "infer": inferrer[1].infer})


def contraction(kind, m, n, k):
    """The operation and its operands, as gemm.c has them; a convolution's sizes are batch, side, in, out."""
    def operand(number, *shape):
        return torch.from_numpy(peer.values(number, int(numpy.prod(shape))).reshape(shape))

    if kind in ("NN", "NT", "TN"):
        a = operand(0, k, m).T if kind == "TN" else operand(0, m, k)
        b = operand(1, n, k).T if kind == "NT" else operand(1, k, n)
        return lambda: torch.mm(a, b)
    batch, side, i, o = (int(word) for word in kind.split("_")[1].split("x"))

    def image(number, channels):
        return operand(number, batch, side, side, channels).permute(0, 3, 1, 2)

    weight = operand(1, 3, 3, i, o).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
    x = image(2 if kind.startswith("input") else 0, i)
    dy = image(0 if kind.startswith("input") else 1, o)
    if kind.startswith("forward"):
        return lambda: F.conv2d(x, weight, padding=1)
    wanted = [kind.startswith("input"), kind.startswith("weight"), False]
    result = wanted.index(True)
    return lambda: torch.ops.aten.convolution_backward(dy, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1,
                                                       wanted)[result]


def run_contractions():
    """Lines as gemm.c answers them: `case KIND M N K`, then `run SECONDS`."""
    peer.say("note", torch.__version__)
    operation = None
    with torch.inference_mode():
        for line in sys.stdin:
            word, *rest = line.split()
            if word == "case":
                operation = contraction(rest[0], *map(int, rest[1:]))
                peer.say(f"{operation().abs().sum(dtype=torch.float64).item():.9g}")
            else:
                peer.say(f"{peer.seconds_of(operation, float(rest[0])):.9g}")


if __name__ == "__main__":
    words = [w for w in sys.argv[1:] if w != "--compile"]
    if words[0] == "contractions":
        torch.set_num_threads(int(words[1]))
        run_contractions()
    else:
        torch.set_num_threads(int(words[2]))
        run_net(words[0], int(words[1]), float(words[3]), "--compile" in sys.argv)
