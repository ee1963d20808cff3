"""The figures to reach, computed from what a run measured, and whether they were reached."""
import math
import statistics

from contractions import AVX2, ONEDNN
from sides import CURRENT, DEBIAN, LAMINA, PROTOTYPE

NARROW = 16  # results at most this wide are counted apart
WORK = 1e-3  # seconds of one thread from which a second one has to pay
SMALL_NETS, PROTOTYPE_BATCHES = ("mlp", "cnn"), (32, 128)
PYTORCH_GOALS = {("mlp", 32): 4, ("mlp", 128): 2.2, ("cnn", 32): 2.5, ("cnn", 128): 2.2, ("large", 128): 1.3}
COMPILE_GOALS = {"fashion_mlp": 0.5, "fashion_cnn": 1}
THREADS = (1, 2)


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def paired_ratio(theirs, ours):
    return statistics.median(x / y for x, y in zip(theirs, ours))


# ---- steps: results are {(net, batch, threads): {side: {"train": [seconds], ...}}} ----

def step_ratio(results, net, batch, threads, side, what="train"):
    """How many times Lamina's time, or None: not measured."""
    sides = results.get((net, batch, threads), {})
    theirs = sides.get(side, {}).get(what)
    if not theirs or math.isnan(theirs[0]):
        return None
    return paired_ratio(theirs, sides[LAMINA][what])


def over_threads(results, net, batch, side, what="train"):
    """The ratios of THREADS that were measured."""
    ratios = (step_ratio(results, net, batch, t, side, what) for t in THREADS)
    return [r for r in ratios if r is not None]


def prototype_ratios(results, nets, batches):
    """Lamina's time over the prototype's, by (net, batch, threads)."""
    keys = [(n, b, t) for n in nets for b in batches for t in THREADS]
    ratios = {key: step_ratio(results, *key, PROTOTYPE) for key in keys}
    return {key: 1 / r for key, r in ratios.items() if r is not None}


def named(net, batch, threads=None):
    return f"{net}, batch {batch}" + (f", {threads} thread(s)" if threads else "")


# ---- contractions ----

def shares(cases, side, threads, wanted=lambda case: True):
    return [(c.share(side, threads), c.shown()) for c in cases if (side, threads) in c.times and wanted(c)]


def is_wide(case):
    return case.n > NARROW


def ratios_to(cases, side, threads):
    return [(c.ratio(side, threads), c.shown()) for c in cases if (side, threads) in c.times]


def speedups(cases, threads):
    """Of those that take one thread over WORK."""
    keys = (LAMINA, 1), (LAMINA, threads)
    return [(c.speedup(threads), c.shown()) for c in cases
            if all(k in c.times for k in keys) and c.seconds(LAMINA, 1) > WORK]


def mean_of(pairs):
    return geometric_mean([value for value, _ in pairs]) if pairs else math.nan


# ---- the list ----

class Figure:
    """A value (None or nan: not measured) and the least, or with most=True the most, that it may be. 'of' says how
    many of the wanted measurements it comes from, where that is not all."""

    def __init__(self, text, goal, value, where="", most=False, of=None, unit=""):
        self.text, self.goal, self.value, self.most, self.of, self.unit = text, goal, value, most, of, unit
        self.where = where
        self.measured = value is not None and not math.isnan(value)

    def lost(self):
        return self.measured and (self.value > self.goal if self.most else self.value < self.goal)

    def wanted(self):
        return f"{'<=' if self.most else '>='} {self.goal:g}{self.unit}"

    def got(self):
        if not self.measured:
            return "not measured"
        notes = [n for n in (self.where, self.of and f"only {self.of[0]} of {self.of[1]}") if n]
        return f"{self.value:.4g}{self.unit}" + (f" ({'; '.join(notes)})" if notes else "")

    def verdict(self):
        if not self.measured:
            return "not measured"
        return "missed" if self.lost() else "measured in part" if self.of else "reached"


def part(found, wanted):
    return None if found == wanted else (found, wanted)


def mean_figure(text, goal, ratios, wanted, **more):
    return Figure(text, goal, geometric_mean(ratios) if ratios else None, of=part(len(ratios), wanted), **more)


def prototype_figures(results):
    small = prototype_ratios(results, SMALL_NETS, PROTOTYPE_BATCHES)
    large = prototype_ratios(results, ("large",), (128,))
    wanted = len(SMALL_NETS) * len(PROTOTYPE_BATCHES) * len(THREADS)
    text = "time of a training step over the prototype's, mlp and cnn, batches 32 and 128: "
    worst = max(small, key=small.get) if small else None
    yield mean_figure(text + "geometric mean", 1.1, list(small.values()), wanted, most=True)
    yield Figure(text + "worst", 1.25, worst and small[worst], worst and named(*worst), most=True,
                 of=part(len(small), wanted))
    yield mean_figure(text + "geometric mean, next goal", 1, list(small.values()), wanted, most=True)
    yield mean_figure("the same for the large net, batch 128", 0.9, list(large.values()), len(THREADS), most=True)


def lowest_figure(text, goal, pairs):
    value, shape = min(pairs) if pairs else (None, "")
    return Figure(text, goal, value, shape)


def contraction_figures(cases):
    one = shares(cases, LAMINA, 1)
    yield Figure("contractions, share of one core's peak: geometric mean", 0.85, mean_of(one))
    yield lowest_figure("contractions, share of one core's peak: lowest of N > 16", 0.6,
                        shares(cases, LAMINA, 1, is_wide))
    for t in THREADS:
        ratios = ratios_to(cases, ONEDNN, t)
        yield Figure(f"speed over oneDNN's with packed weights, {t} thread(s): geometric mean", 0.95, mean_of(ratios))
        yield lowest_figure(f"speed over oneDNN's with packed weights, {t} thread(s): lowest", 0.75, ratios)
    yield lowest_figure("2 threads over one, contractions of over 1 ms: lowest", 1.8, speedups(cases, 2))
    avx2 = shares(cases, AVX2, 1)
    yield Figure("contractions for AVX2, share of its peak: geometric mean", 0.75, mean_of(avx2),
                 f"lowest {min(avx2)[0]:.2f}, {min(avx2)[1]}" if avx2 else "")


def pytorch_figures(results):
    for (net, batch), goal in PYTORCH_GOALS.items():
        yield mean_figure(f"speed of a training step over {DEBIAN}'s, {named(net, batch)}", goal,
                          over_threads(results, net, batch, DEBIAN), len(THREADS), unit="x")
    for name in (DEBIAN, CURRENT[0]):
        for net in SMALL_NETS:
            yield mean_figure(f"speed of inference over {name}'s, {named(net, 1)}", 3,
                              over_threads(results, net, 1, name, "infer"), len(THREADS), unit="x")
    for name in CURRENT:
        for what, shown in (("train", "a training step"), ("infer", "inference")):
            means = [(geometric_mean(found), named(net, batch)) for net, batch in sorted({k[:2] for k in results})
                     if (found := over_threads(results, net, batch, name, what))]
            value, where = min(means) if means else (None, "")
            yield Figure(f"speed of {shown} over {name}'s, any net and batch: lowest", 1, value,
                         f"{where}; of {len(means)}", unit="x")


def note_value(note, key):
    return next((int(w.split("=")[1].rstrip(",")) for w in note.split() if w.startswith(key + "=")), None)


def memory_figures(results):
    """9 MB and half a MB for each worker, as one sum for each number of workers."""
    note = next((results["cnn", 128, t][LAMINA]["note"] for t in THREADS if ("cnn", 128, t) in results), "")
    sizes = {k: note_value(note, k) for k in ("saved", "workspace", "worker")}
    known = None not in sizes.values()
    shared, each = ((sizes["saved"] + sizes["workspace"]) / 1e6, sizes["worker"] / 1e6) if known else (math.nan,) * 2
    for workers in THREADS:
        yield Figure(f"saved and workspace bytes of the cnn, batch 128, {workers} worker(s)", 9 + 0.5 * workers,
                     shared + workers * each, f"{shared:.3f} and {each:.3f} for each worker", most=True, unit=" MB")


def all_figures(results, cases, compile_seconds):
    yield from prototype_figures(results)
    yield from contraction_figures(cases)
    yield from pytorch_figures(results)
    yield from memory_figures(results)
    for example, goal in COMPILE_GOALS.items():
        yield Figure(f"lamina compile of {example}", goal, compile_seconds.get(example), most=True, unit=" s")
