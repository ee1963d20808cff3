"""Markdown from what bench.py measured."""
import os
import statistics

from contractions import AVX2, FILTERED, ONEDNN
from figures import (NARROW, WORK, all_figures, geometric_mean, is_wide, mean_of, named, note_value, paired_ratio,
                     prototype_ratios, ratios_to, shares, speedups, step_ratio, PROTOTYPE_BATCHES, SMALL_NETS)
from sides import LAMINA, PROTOTYPE


def bold_if(lost, text):
    return f"**{text}**" if lost else text


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |\n"


def header(*cells):
    return row(*cells) + "|" + "---|" * len(cells) + "\n"


# ---- nets ----

def times_table(results, what, names):
    """Milliseconds, and how many times Lamina's: bold where Lamina loses. Then the mean over the thread counts."""
    out = header("net", "batch", "threads", LAMINA, *names)
    ratios = {}
    for (net, batch, threads), sides in results.items():
        cells = []
        for name in names:
            ratio = step_ratio(results, net, batch, threads, name, what)
            if ratio is None:
                cells.append("-")
                continue
            ratios.setdefault((net, batch), {}).setdefault(name, []).append(ratio)
            cells.append(bold_if(ratio < 1, f"{statistics.median(sides[name][what]) * 1e3:.4g} ({ratio:.2f}x)"))
        out += row(net, batch, threads, f"{statistics.median(sides[LAMINA][what]) * 1e3:.4g}", *cells)
    for (net, batch), sides in ratios.items():
        cells = [geometric_mean(sides[n]) if n in sides else None for n in names]
        out += row(net, batch, "mean", "", *["-" if c is None else bold_if(c < 1, f"{c:.2f}x") for c in cells])
    return out


def prototype_lines(results):
    """The other way round than the table: what Lamina's time is of the prototype's."""
    out = ""
    for nets, batches in ((SMALL_NETS, PROTOTYPE_BATCHES), (("large",), (128,))):
        ratios = prototype_ratios(results, nets, batches)
        if ratios:
            worst = max(ratios, key=ratios.get)
            mean = geometric_mean(ratios.values())
            names, sizes = " and ".join(nets), " and ".join(map(str, batches))
            out += f"\nLamina's time over the prototype's, {names}, batch {sizes}: "
            out += f"geometric mean of {len(ratios)} paired ratios {bold_if(mean > 1, f'{mean:.3f}')}, "
            out += f"worst {bold_if(ratios[worst] > 1, f'{ratios[worst]:.3f}')} ({named(*worst)}).\n"
    return out


def megabytes(count):
    return f"{count / 1e6:.2f}"


def facts_tables(results, names):
    out = "\n## Start to the end of the first training step, s (peak memory then, MB)\n"
    out += header("net", "batch", "threads", LAMINA, *names)
    for key, sides in results.items():
        found = [sides.get(n, {}) for n in (LAMINA, *names)]
        out += row(*key, *[f"{f['first']:.3f} ({f['peak'] / 1e6:.0f})" if "first" in f else "-" for f in found])
    out += "\n## What Lamina compiles to\n"
    out += header("net", "batch", "compile s", "library KB", "parameters MB", "state MB", "saved MB", "workspace MB",
                  "MB a worker")
    for (net, batch, threads), sides in results.items():
        if threads == min(t for _, _, t in results):
            f = sides[LAMINA]
            keys = ("params", "state", "saved", "workspace", "worker")
            sizes = [megabytes(note_value(f["note"], k)) for k in keys]
            out += row(net, batch, f"{f['compile']:.2f}", f"{f['library'] / 1e3:.0f}", *sizes)
    return out


def nets_part(results, names):
    others = [n for n in names if n != PROTOTYPE]
    out = "\n## Training step, ms\n" + times_table(results, "train", names) + prototype_lines(results)
    out += "\n## Inference, ms\n" + times_table(results, "infer", others)
    out += facts_tables(results, others)
    out += "\n## Peers\n"
    for (net, batch, threads), sides in results.items():
        for name in others:
            if name in sides:
                out += f"- {named(net, batch, threads)}, {name}: {sides[name]['note']}\n"
    return out


# ---- contractions ----

def speedup_cell(case, threads):
    """In brackets what is too short to count."""
    value = case.speedup(threads)
    counts = value and case.seconds(LAMINA, 1) > WORK
    return "-" if value is None else bold_if(value < 1.8, f"{value:.2f}") if counts else f"({value:.2f})"


def share_line(cases, side, threads, peak):
    pairs, wide = shares(cases, side, threads), shares(cases, side, threads, is_wide)
    narrow = shares(cases, side, threads, lambda c: not is_wide(c))
    lowest = min(wide)
    return (f"\nShare of {peak}: geometric mean {mean_of(pairs):.3f}; of N > {NARROW} {mean_of(wide):.3f}, "
            f"lowest {lowest[0]:.2f} ({lowest[1]}); of N <= {NARROW} {mean_of(narrow):.3f}, "
            f"lowest {min(narrow)[0]:.2f} ({min(narrow)[1]}).\n")


def under_table(cases, threads, names):
    out = share_line(cases, LAMINA, threads, "one core's peak" if threads == 1 else f"{threads} cores' peak")
    for name in names:
        ratios = ratios_to(cases, name, threads)
        mean, lowest = mean_of(ratios), min(ratios)
        out += (f"\nSpeed over {name}: geometric mean {bold_if(mean < 1, f'{mean:.3f}')}, "
                f"lowest {bold_if(lowest[0] < 1, f'{lowest[0]:.2f}')} ({lowest[1]}).\n")
    found = speedups(cases, threads) if threads > 1 else []
    if found:
        out += (f"\n{threads} threads over one, of the {len(found)} that take one thread over {WORK * 1e3:g} ms: "
                f"geometric mean {mean_of(found):.2f}, lowest {min(found)[0]:.2f} ({min(found)[1]}).\n")
    return out


def contractions_table(cases, threads):
    present = {name for case in cases for name, t in case.times if t == threads} - {LAMINA, AVX2, FILTERED}
    names = sorted(present, key=lambda n: (n == ONEDNN or n.startswith("PyTorch"), n.startswith("PyTorch"), n))
    peak = statistics.median(p for c in cases for p in c.peak)
    out = f"\n## Contractions, {threads} thread(s): GFLOP/s; one core's peak is {peak / 1e9:.0f}\n"
    extra = ["x one thread"] if threads > 1 else []
    out += header("M N K, or batch x side x in x out", LAMINA, "share of peak", *extra, *names)
    for case in cases:
        cells = [speedup_cell(case, threads)] if extra else []
        for n in names:
            if (n, threads) not in case.times:
                cells.append("-")
                continue
            ratio = case.ratio(n, threads)
            cells.append(bold_if(ratio < 1, f"{case.flops / case.seconds(n, threads) / 1e9:.4g} ({ratio:.2f}x)"))
        out += row(case.shown(), f"{case.flops / case.seconds(LAMINA, threads) / 1e9:.4g}",
                   f"{case.share(LAMINA, threads):.2f}", *cells)
    return out + under_table(cases, threads, names)


def avx2_table(cases):
    if (AVX2, 1) not in cases[0].times:
        return "\n## Contractions compiled for AVX2\nNot measured: the processor has no AVX2.\n"
    peak = statistics.median(p for c in cases for p in c.avx2_peak)
    out = f"\n## Contractions compiled for AVX2, 1 thread: GFLOP/s; the core's peak in 256 bits is {peak / 1e9:.0f}\n"
    out += header("M N K, or batch x side x in x out", LAMINA, "share of peak")
    for case in cases:
        out += row(case.shown(), f"{case.flops / case.seconds(AVX2, 1) / 1e9:.4g}", f"{case.share(AVX2, 1):.2f}")
    return out + share_line(cases, AVX2, 1, "the AVX2 peak")


def filtered_table(cases, threads):
    found = [c for c in cases if (FILTERED, threads) in c.times]
    if not found:
        return ""
    out = f"\n## 3x3 convolutions as they are compiled by default, {threads} thread(s): ms\n"
    out += "By minimal filtering, 4 multiply-adds an output and channel instead of 9; the tables above have plain sums."
    out += "\n\n"
    out += header("batch x side x in x out", "filtered", "plain sum", ONEDNN)
    for c in found:
        ours, cells = c.seconds(FILTERED, threads), []
        for side in (LAMINA, ONEDNN):
            if (side, threads) not in c.times:
                cells.append("-")
                continue
            pairs = zip(c.times[side, threads], c.times[FILTERED, threads])
            ratio = statistics.median(x / y for x, y in pairs)
            cells.append(bold_if(ratio < 1, f"{c.seconds(side, threads) * 1e3:.4g} ({ratio:.2f}x)"))
        out += row(c.shown(), f"{ours * 1e3:.4g}", *cells)
    return out


# ---- real training ----

def training_row(case, epoch, names):
    """The ratio is Lamina's rate over the peer's, paired: bold where Lamina loses."""
    rates = {name: [rounds[epoch] for rounds in case.rates[name]] for name in case.rates}
    cells = []
    for name in names:
        if name not in rates:
            cells.append("-")
            continue
        ratio = paired_ratio(rates[LAMINA], rates[name])
        cells.append(bold_if(ratio < 1, f"{statistics.median(rates[name]):.4g} ({ratio:.2f}x)"))
    return row(f"fashion_{case.net}", case.threads, epoch + 1, f"{statistics.median(rates[LAMINA]):.4g}", *cells)


def training_table(cases):
    names = sorted({name for case in cases for name in case.rates} - {LAMINA})
    out = "\n## Real training: examples a second of an epoch of Fashion-MNIST, the first and a later one\n"
    out += header("net", "threads", "epoch", LAMINA, *names)
    for case in cases:
        for epoch in (0, len(case.rates[LAMINA][0]) - 1):
            out += training_row(case, epoch, names)
    return out


# ---- the whole ----

def figures_table(results, cases, compile_seconds):
    out = "\n## Figures to reach\nSpeeds over a net's peers are geometric means over 1 and 2 threads.\n\n"
    out += header("figure", "to reach", "this run", "")
    for f in all_figures(results, cases, compile_seconds):
        out += row(f.text, f.wanted(), bold_if(f.lost(), f.got()), bold_if(f.lost(), f.verdict()))
    return out + row("lamina bench --roofline prints each kernel's share of the peak", "", "not part of this run",
                     "not measured")


def processor():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "unknown")


def report(a, results, cases, training, compile_seconds):
    sides = {PROTOTYPE: a.prototype, **a.peers, ONEDNN: a.onednn}
    absent = [name for name, side in sides.items() if not side]
    out = f"# Bench\n{processor()}, {os.cpu_count()} processors; {a.rounds} rounds of {a.seconds} s, sides in turn, "
    out += "half as many for inference, batches 1 and 8 and the large net, a third for contractions, "
    out += "a fifth for real training. "
    out += "Medians; in brackets how many times Lamina's time, bold where Lamina is slower.\n"
    out += f"Absent or not asked for: {', '.join(absent) or 'none'}. "
    out += "`-`: not measured, or other losses than Lamina's (see the messages).\n"
    if results:
        out += nets_part(results, [n for n in sides if sides[n] and n != ONEDNN])
    if cases:
        for threads in a.threads:
            out += contractions_table(cases, threads) + filtered_table(cases, threads)
        out += avx2_table(cases)
    if training:
        out += training_table(training)
    return out + figures_table(results, cases, compile_seconds)
