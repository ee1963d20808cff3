#!/usr/bin/env python3
"""Write metric_values.txt: what scikit-learn makes of each metric, for tests/unit/test_metric_values.c.

Numbers are made here and there by the same rule, of whole numbers alone, with many that are equal. Some classes are never
true, never said, or neither. Where scikit-learn counts 0 / 0 as 0 and Lamina says that it is no number, it is nan here.

Lines:  set KIND SHAPE COUNT (classes, truths or values; the shape of one example; how many), then for each metric
        METRIC {KEYS}: NUMBERS
"""
import warnings
from pathlib import Path
import numpy as np
from scipy.special import softmax
from sklearn import metrics as sk

warnings.filterwarnings("ignore")
AVERAGES = "macro", "micro", "weighted", "none"
SCORES = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score, "iou": sk.jaccard_score}


class Numbers:
    """The same pseudo-random whole numbers as in the test."""
    def __init__(self):
        self.state = 7

    def next(self, below):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return (self.state >> 8) % below


def make(kind, shape, count):
    """What is said, [count, *shape], and what is true: class numbers without the last dimension, or like it."""
    numbers, size = Numbers(), int(np.prod(shape))
    classes = shape[-1]
    said, true = np.zeros((count, size), np.float32), np.zeros((count, size), np.float32)
    for i in range(count):
        for k in range(size):
            said[i, k] = (numbers.next(64) - 32) / 8
            if kind == "values":  # far from 0; of places 2, 5, ... all the same
                true[i, k] = 1000 + k if k % 3 == 2 else 1000 + said[i, k] + (numbers.next(64) - 32) / 16
                said[i, k] += 1000
            else:
                true[i, k] = (said[i, k] > 0) != (numbers.next(4) == 0)
    said, true = said.reshape(count, *shape), true.reshape(count, *shape)
    if kind != "classes":
        return said, true
    best = said.argmax(-1)
    flat = best.reshape(-1).copy()
    there = classes - 1 if classes > 2 else classes  # the last of several is never true
    for i in range(flat.size):
        if flat[i] >= there or numbers.next(3) == 0:
            flat[i] = numbers.next(there)
    return said, flat.reshape(best.shape)


def undefined(name, said, true, labels):
    """Where a class's metric is 0 / 0."""
    is_said, is_true = [np.array([(x == k).any() for k in labels]) for x in (said, true)]
    return {"precision": ~is_said, "recall": ~is_true}.get(name, ~(is_said | is_true))


def of_counts(name, said, true, labels):
    out = {}
    for average in AVERAGES:
        if average == "none":
            value = SCORES[name](true, said, labels=labels, average=None, zero_division=0)
            value[undefined(name, said, true, labels)] = np.nan
        else:
            value = SCORES[name](true, said, average=average, zero_division=0)
        out[f"{name} {{average: {average}}}"] = value
    return out


def of_truth_counts(name, said, true):
    out = {}
    for average in AVERAGES:
        value = SCORES[name](true, said, average=None if average == "none" else average, zero_division=0)
        out[f"{name} {{average: {average}}}"] = value
    out[f"{name} {{}}"] = SCORES[name](true.reshape(-1), said.reshape(-1))
    return out


def of_scores(name, function, scores, true):
    """true: [rows, classes] of 0 and 1."""
    each = np.array([function(t, s) if 0 < t.sum() and (name != "auc" or t.sum() < len(t)) else np.nan
                     for t, s in zip(true.T, scores.T)])
    weights, known = true.sum(0), ~np.isnan(each)
    if known.all() and true.shape[1] > 1:
        for average in "macro", "weighted":
            plain = np.average(each, weights=weights if average == "weighted" else None)
            assert abs(function(true, scores, average=average) - plain) < 1e-12
    return {f"{name} {{average: macro}}": each[known].mean(), f"{name} {{average: none}}": each,
            f"{name} {{average: weighted}}": np.average(each[known], weights=weights[known]),
            f"{name} {{average: micro}}": function(true.reshape(-1), scores.reshape(-1))}


def both_curves(scores, true):
    return {**of_scores("auc", sk.roc_auc_score, scores, true),
            **of_scores("average_precision", sk.average_precision_score, scores, true)}


def of_matrix(said, true, labels):
    return {"confusion_matrix {}": sk.confusion_matrix(true, said, labels=labels),
            "matthews {}": sk.matthews_corrcoef(true, said), "cohen_kappa {}": sk.cohen_kappa_score(true, said)}


def of_classes(said, true):
    classes, labels = said.shape[-1], np.arange(said.shape[-1])
    rows, true = said.reshape(-1, classes), true.reshape(-1)
    best = rows.argmax(-1)
    out = {"accuracy {}": sk.accuracy_score(true, best)}
    for name in SCORES:
        out.update(of_counts(name, best, true, labels))
    out.update(of_matrix(best, true, labels))
    if said.ndim == 2 and classes > 1:
        out.update(both_curves(softmax(rows.astype(np.float64), -1), (true[:, None] == labels).astype(int)))
    return out


def of_truths(said, true):
    places = said.shape[-1]
    rows, true = said.reshape(-1, places), true.reshape(-1, places).astype(int)
    yes = (rows > 0).astype(int)
    out = {"accuracy {}": (yes == true).mean()}
    if places > 1:
        for name in SCORES:
            out.update(of_truth_counts(name, yes, true))
    out.update(of_matrix(yes.reshape(-1), true.reshape(-1), [0, 1]))
    out.update(both_curves(rows.astype(np.float64), true))
    return out


def of_values(said, true):
    places = said.shape[-1]
    said, true = [x.reshape(-1, places).astype(np.float64) for x in (said, true)]
    return {"mean_absolute_error {}": sk.mean_absolute_error(true, said),
            "mean_squared_error {}": sk.mean_squared_error(true, said),
            "root_mean_squared_error {}": np.sqrt(sk.mean_squared_error(true, said)),
            "rmse {}": np.sqrt(sk.mean_squared_error(true, said)), "r2 {}": sk.r2_score(true, said)}


SETS = [("classes", [5], 203), ("classes", [2], 50), ("classes", [1], 9), ("classes", [1000], 60), ("classes", [7, 2, 3], 21),
        ("classes", [90, 4], 5), ("truths", [4], 130), ("truths", [1], 77), ("truths", [3, 5, 2], 19),
        ("values", [4], 111), ("values", [1], 40), ("values", [5, 2], 33)]
OF = {"classes": of_classes, "truths": of_truths, "values": of_values}


def main():
    lines = []
    for kind, shape, count in SETS:
        lines.append(f"set {kind} {'x'.join(map(str, shape))} {count}")
        for name, value in OF[kind](*make(kind, shape, count)).items():
            value = np.asarray(value, np.float64).reshape(-1)
            if value.size <= 36:  # of a thousand classes the averages do
                lines.append(f"{name}: " + " ".join("nan" if np.isnan(v) else f"{v:.10g}" for v in value))
    Path(__file__).with_suffix(".txt").write_text("\n".join(lines) + "\n")


main()
