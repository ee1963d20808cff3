#!/usr/bin/env python3
"""Is the cut that the compiler predicts to be best the best one, measured?

Ten nets of up to 12 layers, none of them one of the bench's own, are cut into 2 and into 3 stages in all ways there
are, and the stages of each cut are measured, each on one thread (`lamina summary --partition --measure`). What counts is
the time of the dearest stage: in a pipeline all others wait for it. First every cut is measured once. Then the
compiler's and the best three others are measured again in turns, and the shortest time of each stage counts, in whichever
cuts it was, so that what was lucky once is not taken for best. A net is won if in both ways the compiler's cut is within 5 % of the best.

    tests/bench/cuts.py [--lamina=build/lamina] [--seconds=0.2] [--turns=5] [--nets=a,b] [--stages=2,3]
"""
import argparse
import itertools
import json
import math
import os
import subprocess
import sys
import tempfile

NOISE = 1.05
FINALISTS = 3

# Inputs, layers, loss and batch of each net; layers as the YAML has them.
IMAGE = "{shape: [%d, %d, %d]}"
CLASSES = ("label: {shape: [], dtype: int32}", "softmax_cross_entropy: {labels: label}")


def values(count):
    return "target: [%d]" % count, "mean_squared_error: {targets: target}"


def dense(*units, activation="relu"):
    return ["dense: {units: %d, activation: %s}" % (u, activation) for u in units]


def conv(filters, kernel=3, strides=1, padding="same", activation="relu"):
    return "conv2d: {filters: %d, kernel_size: %d, strides: %d, padding: %s, activation: %s}" % (
        filters, kernel, strides, padding, activation)


NETS = {
    "odd_mlp": ("[100]", dense(301, 77, 513, 45, 190) + ["dense: 10"], CLASSES, 64),
    "funnel": ("[784]", dense(512, 256, 128, 64) + ["dense: 10"], CLASSES, 128),
    "even_mlp": ("[200]", dense(*[200] * 9, activation="tanh") + ["dense: 7"], CLASSES, 48),
    "autoencoder": ("[600]", dense(256, 64, 16, 64, 256) + ["dense: 600"], values(600), 128),
    "lenet": (IMAGE % (28, 28, 1), [conv(6, 5, activation="tanh"), "average_pool2d: 2",
                                    conv(16, 5, padding="valid", activation="tanh"), "average_pool2d: 2", "flatten"]
              + dense(120, 84, activation="tanh") + ["dense: 10"], CLASSES, 64),
    "small_vgg": (IMAGE % (32, 32, 3), [conv(16), conv(16), "max_pool2d: 2", conv(32), conv(32), "max_pool2d: 2",
                                        "flatten"] + dense(128) + ["dense: 10"], CLASSES, 32),
    "odd_cnn": (IMAGE % (23, 19, 2), [conv(13), "batch_norm", conv(27, 3, 2), "batch_norm", conv(41, 1), "batch_norm",
                                      "global_average_pool2d"] + dense(33) + ["dense: 5"], CLASSES, 40),
    "residual_mlp": ("[160]", ["dense: {name: a, units: 160, activation: relu}", "dense: {name: b, units: 320}",
                               "dense: {name: c, units: 160}", "add: {name: d, inputs: [a, c]}", "layer_norm",
                               "dense: {name: e, units: 320, activation: gelu}", "dense: {name: f, units: 160}",
                               "add: {name: g, inputs: [d, f]}", "dense: 12"], CLASSES, 96),
    "residual_cnn": (IMAGE % (16, 16, 3), ["conv2d: {name: a, filters: 24, kernel_size: 3, padding: same}",
                                           conv(24), "conv2d: {name: b, filters: 24, kernel_size: 3, padding: same}",
                                           "add: {name: c, inputs: [a, b]}", "activation: relu", "max_pool2d: 2",
                                           conv(48), "conv2d: {name: d, filters: 24, kernel_size: 1}",
                                           "global_average_pool2d", "dense: 10"], CLASSES, 32),
    "strided_cnn": (IMAGE % (40, 40, 1), [conv(12, 5, 2, activation="elu"), conv(20, 3, 2, activation="elu"),
                                          conv(36, 3, 2, activation="silu"), "dropout: 0.2", "flatten"] + dense(100)
                    + ["dense: 3"], CLASSES, 50),
}


def yaml(name, stages=None):
    shape, layers, (target, loss), batch = NETS[name]
    lines = ["name: " + name, "inputs:", "  x: " + shape, "  " + target, "layers:"] + ["  - " + l for l in layers]
    lines += ["losses: [%s]" % loss, "optimizer: {adam: {learning_rate: 0.000001}}", "train: {batch: %d}" % batch]
    if stages:
        lines += ["stages:"] + ["  - {name: s%d, through: %s}" % (i, s) for i, s in enumerate(stages)]
    return "\n".join(lines) + "\n"


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.layers, self.least = {}, {}

    def summary(self, name, stages, *more):
        path = os.path.join(self.folder, name + ".yaml")
        with open(path, "w") as f:
            f.write(yaml(name, stages))
        run = subprocess.run([self.options.lamina, "summary", path, "--json", *more], capture_output=True, text=True)
        if run.returncode:
            return None
        return json.loads(run.stdout)

    def measure(self, name, cut):
        """Note the shortest time of each of its stages, microseconds. False: the net cannot be cut so."""
        s = self.summary(name, cut, "--partition", "--measure", "--seconds=%g" % self.options.seconds)
        for stage in s["stages"] if s else []:
            key = name, stage["from"], stage["through"]
            self.least[key] = min(self.least.get(key, math.inf), stage["measured_least_us"])
        return s is not None

    def dearest(self, name, cut):
        """Of the dearest stage. A stage has one time, whichever cuts it is part of."""
        layers = self.layers[name]
        begins = [layers[0]] + [layers[layers.index(end) + 1] for end in cut[:-1]]
        return max(self.least[name, begin, end] for begin, end in zip(begins, cut))

    def chosen(self, name, count):
        s = self.summary(name, None, "--partition", "--stages=%d" % count)
        return tuple(stage["through"] for stage in s["stages"]), max(stage["step_us"] for stage in s["stages"])

    def cuts(self, name, count):
        """All cuts of whose stages each has parameters."""
        layers = self.summary(name, None)["layers"]
        self.layers[name] = [l["name"] for l in layers]
        for ends in itertools.combinations(range(len(layers) - 1), count - 1):
            bounds = (-1,) + ends + (len(layers) - 1,)
            if all(any(l["parameters"] for l in layers[a + 1:b + 1]) for a, b in zip(bounds, bounds[1:])):
                yield tuple(layers[e]["name"] for e in bounds[1:])

    def compare(self, name, count):
        """The compiler's cut, the best one, and how many times as long the first takes."""
        own, predicted = self.chosen(name, count)
        cuts = [cut for cut in self.cuts(name, count) if self.measure(name, cut)]
        if own not in cuts:
            raise SystemExit("%s: the cut %s cannot be compiled when it is written out" % (name, own))
        for _ in range(self.options.turns):
            best = sorted((c for c in cuts if c != own), key=lambda c: self.dearest(name, c))
            for cut in [own] + best[:FINALISTS]:
                self.measure(name, cut)
        best = min(cuts, key=lambda c: (self.dearest(name, c), c != own))
        time = self.dearest(name, own)
        return own, best, time / self.dearest(name, best), time, predicted, len(cuts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lamina", default="build/lamina")
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--nets", default=",".join(NETS))
    parser.add_argument("--stages", default="2,3")
    options = parser.parse_args()
    won, names = 0, options.nets.split(",")
    print("| net | stages | cuts | chosen | best | us, chosen | of best | predicted |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, folder)
        for name in names:
            worst = 0
            for count in map(int, options.stages.split(",")):
                own, best, ratio, time, predicted, cuts = bench.compare(name, count)
                worst = max(worst, ratio)
                print("| %s | %d | %d | %s | %s | %.0f | %.2f | %.0f |" % (
                    name, count, cuts, ", ".join(own[:-1]), ", ".join(best[:-1]), time, ratio, predicted), flush=True)
            won += worst <= NOISE
    print("\n%d of %d nets within %.0f %% of the best cut" % (won, len(names), 100 * NOISE - 100))
    return 0


if __name__ == "__main__":
    sys.exit(main())
