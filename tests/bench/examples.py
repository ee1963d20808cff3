#!/usr/bin/env python3
"""The examples' figures on their test data, Lamina beside PyTorch (the same net, initialisers, optimizer, epochs and
batches, written by hand) and, for tables, scikit-learn's network of the same hidden layers. Means and deviations over seeds;
where the test data are a part of the table, each seed draws its own part, on both sides by itself.

    examples.py LAMINA [--examples wine,digits] [--seeds 5] [--threads 2]

Needs numpy, PyTorch and PyYAML; scikit-learn's column stays empty without it.
"""
import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "..", "examples")


# ---- data: ((x, y) to learn from, (x, y) to be told), as Lamina's nets see them after normalization ----

def path(name):
    return os.path.join(EXAMPLES, "data", name)


def idx(name):
    with (gzip.open if name.endswith(".gz") else open)(path(name), "rb") as f:
        raw = f.read()
    shape = np.frombuffer(raw, ">i4", raw[3], 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def measured(kind):
    return lambda seed: [(idx(f"{kind}-{part}-x.idx").astype(np.float32) / 128,
                          idx(f"{kind}-{part}-label.idx").astype(np.int64)) for part in ("train", "test")]


def images(name):
    return idx(name)[:, None].astype(np.float32) / 255


def clothes(of):
    """Images, and what `of` makes of a part's name."""
    return lambda seed: [(images(part + "-images-idx3-ubyte.gz"), of(part)) for part in ("train", "t10k")]


def labels(part):
    return idx(part + "-labels-idx1-ubyte.gz").astype(np.int64)


def itself(part):
    return images(part + "-images-idx3-ubyte.gz")


def noisy(seed):
    return [(images(f"noisy-{part}-images.idx"), images(clean + "-images-idx3-ubyte.gz"))
            for part, clean in (("train", "train"), ("test", "t10k"))]


def standardised(train, test):
    mean, deviation = train.mean(0), train.std(0)
    return (train - mean) / deviation, (test - mean) / deviation


def table(name, target, held_back, header=False, words=(), scale=None, shape=None, stratify=True):
    """A part of the records is held back. Words become an element each; targets are classes unless they have a scale."""
    def draw(seed):
        rows = np.loadtxt(path(name), delimiter=",", skiprows=1 if header else 0)
        x, y = np.delete(rows, target, 1), rows[:, target]
        for column in sorted(words, reverse=True):
            x = np.hstack([np.delete(x, column, 1), x[:, [column]] == np.unique(x[:, column])])
        order, held = np.random.default_rng(seed), np.zeros(len(y), bool)
        for group in [y == c for c in np.unique(y)] if stratify else [np.ones(len(y), bool)]:
            held[order.permutation(np.flatnonzero(group))[:round(held_back * group.sum())]] = True
        sides = (x[~held] / 16, x[held] / 16) if shape else standardised(x[~held], x[held])
        x = [side.astype(np.float32).reshape([-1] + (shape or [x.shape[1]])) for side in sides]
        y = y.astype(np.int64) if scale is None else (y[:, None] * scale).astype(np.float32)
        return [(x[0], y[~held]), (x[1], y[held])]
    return draw


# ---- the nets ----

def chain(*widths, drop=0.0, act=nn.ReLU, drops=1):
    """Dense layers; the first `drops` hidden ones are followed by dropout."""
    layers = []
    for i, (n, m) in enumerate(zip(widths, widths[1:])):
        layers.append(nn.Linear(n, m))
        if i < len(widths) - 2:
            layers += [act()] + ([nn.Dropout(drop)] if drop and i < drops else [])
    return nn.Sequential(*layers)


def conv(n, m, stride=1, bias=True):
    """3 x 3, `same`: with a stride of 2 over an even size the odd zero is at the high side."""
    if stride == 1:
        return nn.Conv2d(n, m, 3, padding=1, bias=bias)
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(n, m, 3, stride, bias=bias))


def digits_net():
    return nn.Sequential(conv(1, 16), nn.ReLU(), conv(16, 32), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
                         nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10))


def bike_net():
    net = chain(14, 32, 16, 1)
    net[-1].start = 4.5
    return net


def cells_net():
    net = chain(30, 16, 1)
    net.penalty = lambda: 0.001 * net[0].weight.square().sum()
    return net


def norm(n):
    return nn.BatchNorm2d(n, eps=1e-3, momentum=0.01)


class Residual(nn.Module):
    def __init__(self, n, m):
        super().__init__()
        stride = 1 if n == m else 2
        self.branch = nn.Sequential(conv(n, m, stride, False), norm(m), nn.ReLU(), conv(m, m, 1, False), norm(m))
        self.side = nn.Identity() if n == m else nn.Sequential(nn.Conv2d(n, m, 1, stride, bias=False), norm(m))

    def forward(self, x):
        return F.relu(self.branch(x) + self.side(x))


def resnet():
    return nn.Sequential(conv(1, 16, 1, False), norm(16), nn.ReLU(), Residual(16, 16),
                         Residual(16, 32), Residual(32, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Upward(nn.ConvTranspose2d):
    """A transposed convolution of 3 x 3 that doubles: what is over is cut at the high side."""
    def __init__(self, n, m):
        super().__init__(n, m, 3, 2)

    def forward(self, x):
        return super().forward(x)[:, :, :-1, :-1]


def autoencoder():
    return nn.Sequential(conv(1, 16, 2), nn.ReLU(), conv(16, 32, 2), nn.ReLU(), nn.Flatten(), nn.Linear(1568, 32),
                         nn.Linear(32, 1568), nn.ReLU(), nn.Unflatten(1, (32, 7, 7)), Upward(32, 16), nn.ReLU(),
                         Upward(16, 1), nn.Sigmoid())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        twice = lambda n, m: nn.Sequential(conv(n, m), nn.ReLU(), conv(m, m), nn.ReLU())
        self.fine, self.middle, self.coarse = twice(1, 16), twice(16, 32), twice(32, 64)
        self.middle_again, self.fine_again, self.clean = twice(96, 32), twice(48, 16), nn.Conv2d(16, 1, 1)

    def forward(self, x):
        up = lambda x: F.interpolate(x, scale_factor=2)
        fine = self.fine(x)
        middle = self.middle(F.max_pool2d(fine, 2))
        y = self.middle_again(torch.cat([middle, up(self.coarse(F.max_pool2d(middle, 2)))], 1))
        return torch.sigmoid(self.clean(self.fine_again(torch.cat([fine, up(y)], 1))))


def keras_starts(net):
    """Glorot's uniform weights, biases of 0 or what a layer's `start` says."""
    for layer in net.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, getattr(layer, "start", 0.0))
    return net


# ---- what is measured: name in Lamina's report, of predictions and truth ----

def accuracy(p, y):
    return (p.argmax(1) == y).double().mean().item()


def yes_or_no(p, y):
    return ((p > 0) == (y > 0.5)).double().mean().item()


def squared(p, y):
    return ((p - y).double()**2).mean().item()


def absolute(p, y):
    return (p - y).double().abs().mean().item()


CLASSES = ("accuracy", accuracy, F.cross_entropy)
ANSWERS = ("accuracy", yes_or_no, F.binary_cross_entropy_with_logits)
VALUES = ("loss", squared, F.mse_loss)
LENGTHS = ("mean_absolute_error", absolute, F.huber_loss)

EXAMPLE = {
    "tabular_mlp": (measured("tabular"), lambda: chain(100, 64, 32, 10, drop=0.1), CLASSES, (64, 32)),
    "wide_mlp": (measured("wide"), lambda: chain(1000, 128, 10, drop=0.2), CLASSES, (128,)),
    "digits": (table("digits.csv", 64, 0.2, shape=[1, 8, 8]), digits_net, CLASSES, None),
    "wine": (table("wine.csv", 13, 0.25), lambda: chain(13, 32, 3), CLASSES, (32,)),
    "breast_cancer": (table("breast_cancer.csv", 30, 0.25, scale=1, stratify=False), cells_net, ANSWERS, (16,)),
    "diabetes": (table("diabetes.csv", 10, 0.2, header=True, scale=1 / 100, stratify=False),
                 lambda: chain(10, 16, 1, drop=0.2, act=nn.Tanh), VALUES, (16,)),
    "bike_days": (table("bike_days.csv", 9, 0.2, header=True, words=(1, 4), scale=1 / 1000, stratify=False), bike_net,
                  LENGTHS, (32, 16)),
    "fashion_resnet": (clothes(labels), resnet, CLASSES, None),
    "fashion_autoencoder": (clothes(itself), autoencoder, VALUES, None),
    "fashion_unet": (noisy, UNet, VALUES, None),
}


# ---- who learns ----

def rate_of(description):
    (_, keys), = description["optimizer"].items()
    rate = keys["learning_rate"]
    return (rate["one_cycle"]["maximum"], True) if isinstance(rate, dict) else (rate, False)


def pytorch(name, seed, description):
    draw, make, (_, measure, loss), _ = EXAMPLE[name]
    (x, y), (xt, yt) = [[torch.from_numpy(np.ascontiguousarray(a)) for a in side] for side in draw(seed)]
    train, (rate, one_cycle) = description["train"], rate_of(description)
    torch.manual_seed(seed)
    start, net = time.time(), keras_starts(make())
    penalty = getattr(net, "penalty", lambda: 0)
    if x.dim() == 4:
        net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate, eps=1e-7)
    steps = -(-len(x) // train["batch"]) * train["epochs"]
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, cycle_momentum=False) if one_cycle else None
    for _ in range(train["epochs"]):
        order = torch.randperm(len(x))
        for i in range(0, len(x), train["batch"]):
            chosen = order[i:i + train["batch"]]
            optimizer.zero_grad()
            (loss(net(x[chosen]), y[chosen]) + penalty()).backward()
            optimizer.step()
            if plan:
                plan.step()
    net.eval()
    with torch.no_grad():
        said = torch.cat([net(xt[i:i + 500]) for i in range(0, len(xt), 500)])
    return measure(said, yt), time.time() - start


def scikit(name, seed, description):
    draw, _, (key, measure, _), hidden = EXAMPLE[name]
    try:
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    except ImportError:
        return None
    if hidden is None:
        return None
    (x, y), (xt, yt) = draw(seed)
    train, (rate, _) = description["train"], rate_of(description)
    kind, act = MLPClassifier if key == "accuracy" else MLPRegressor, "tanh" if name == "diabetes" else "relu"
    y = y[:, 0] if y.ndim > 1 else y
    net = kind(hidden_layer_sizes=hidden, activation=act, batch_size=train["batch"], learning_rate_init=rate, max_iter=train["epochs"],
               n_iter_no_change=train["epochs"], random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(x, y)
    said = net.predict_proba(xt) if key == "accuracy" else net.predict(xt)[:, None]
    said = said[:, 1:] - 0.5 if measure is yes_or_no else said
    return measure(torch.from_numpy(said), torch.from_numpy(yt))


def lamina(binary, name, seed, threads, description):
    key, file = EXAMPLE[name][2][0], os.path.join(EXAMPLES, name + ".yaml")
    drawn = [f"--set=data.test.seed={seed}"] if "split" in description["data"]["test"] else []
    with tempfile.TemporaryDirectory() as out:
        start = time.time()
        subprocess.run([binary, "train", file, "--out=" + out, f"--seed={seed}", f"--threads={threads}"] + drawn,
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.time() - start
        told = subprocess.run([binary, "eval", file, f"--weights={out}/weights.safetensors", "--json"] + drawn,
                              check=True, stdout=subprocess.PIPE)
    return json.loads(told.stdout)[key], seconds


def cell(values, digits=4):
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("lamina")
    arguments.add_argument("--examples", default=",".join(EXAMPLE))
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=2)
    a = arguments.parse_args()
    torch.set_num_threads(a.threads)
    print("| example | on test data | Lamina | PyTorch | scikit-learn | Lamina s | PyTorch s |\n|" + "---|" * 7)
    for name in a.examples.split(","):
        with open(os.path.join(EXAMPLES, name + ".yaml")) as f:
            description = yaml.safe_load(f)
        ours, theirs, others = [], [], []
        for seed in range(1, a.seeds + 1):
            ours.append(lamina(a.lamina, name, seed, a.threads, description))
            theirs.append(pytorch(name, seed, description))
            others.append(scikit(name, seed, description))
            print(name, seed, ours[-1], theirs[-1], others[-1], file=sys.stderr, flush=True)
        column = lambda rows, i: [r[i] for r in rows]
        print(f"| `{name}` | {EXAMPLE[name][2][0].replace('_', ' ')} | {cell(column(ours, 0))} | {cell(column(theirs, 0))} | "
              f"{'' if others[0] is None else cell(others)} | {np.mean(column(ours, 1)):.1f} | "
              f"{np.mean(column(theirs, 1)):.1f} |", flush=True)


if __name__ == "__main__":
    main()
