"""The sides of the bench as bench.py sees them: processes that it asks for times, and which peers there are."""
import math
import os
import shutil
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LAMINA, PROTOTYPE, DEBIAN = "Lamina", "prototype", "PyTorch (Debian)"
CURRENT = ("PyTorch (PyPI)", "torch.compile (PyPI)", "JAX")
PAUSE = 0.05  # seconds until the threads of the side before sleep
TOLERANCE = 1e-4  # relative: what reordered sums make of ten steps, with room


class Failed(Exception):
    pass


def environment(threads, **more):
    """DESIGN's fairness: kernels by the processor, no memory given back, threads bound, no more of them than asked."""
    drop = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
    env = {k: v for k, v in os.environ.items() if k not in drop}
    env.update(OMP_NUM_THREADS=str(threads), OPENBLAS_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads),
               OMP_PROC_BIND="true", MALLOC_TRIM_THRESHOLD_="4294967296", MALLOC_MMAP_THRESHOLD_="33554432",
               MALLOC_TOP_PAD_="67108864", PYTHONDONTWRITEBYTECODE="1", **more)
    return env


class Process:
    """A side that runs for as long as a configuration is measured. See peer.py for what it says."""
    tolerance = TOLERANCE
    wanted = None  # its losses are compared with those of Lamina's side

    def __init__(self, command, threads, log, **env):
        cpus = sorted(os.sched_getaffinity(0))[:threads]
        self.begun = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                        env=environment(threads, **env),
                                        preexec_fn=lambda: os.sched_setaffinity(0, cpus))

    def line(self, expected=None):
        words = self.process.stdout.readline().split(None, 1 if expected else 0)
        if not words or expected and words[0] != expected:
            raise Failed(f"expected '{expected or 'an answer'}', found {words}")
        return words[-1].strip()

    def open(self):
        peak = int(self.line("first"))
        self.facts = {"first": time.perf_counter() - self.begun, "peak": peak}
        self.losses = [float(v) for v in self.line("losses").split()]
        self.facts["note"] = self.line("note")

    def ask(self, text):
        time.sleep(PAUSE)
        try:
            self.process.stdin.write(text + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"ended before '{text}'") from None
        return self.line()

    def seconds(self, what, seconds):
        return float(self.ask(f"{what} {seconds}"))

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it ended by itself
        self.process.wait()
        self.process.stdout.close()


class Prototype:
    """The yardstick of DESIGN section 9: a program that measures itself once a round."""
    tolerance = 1e-3  # it prints five digits, and its Adam has another epsilon
    rate = 1e-3

    def __init__(self, folder, net, batch, threads, log, wanted):
        self.wanted = wanted
        program, word = ("step2", "big") if net == "large" else ("step", net)
        self.folder, self.command, self.log = folder, [f"build/{program}", word, str(batch), str(threads)], log
        self.facts = {"note": ""}

    def run(self):
        out = subprocess.run(self.command, cwd=self.folder, stdout=subprocess.PIPE, stderr=self.log, text=True,
                             env=shims(self.folder)).stdout
        if "median" not in out:
            raise Failed("the prototype does not run here")
        return out

    def open(self):
        out = self.run()
        losses = next(line.split() for line in out.splitlines() if line.startswith("# loss"))
        self.losses = [float(v) for v in losses[2:]] if self.command[0] == "build/step" else None

    def seconds(self, what, _):
        if what != "train":
            return math.nan
        time.sleep(PAUSE)
        return float(self.run().split("median")[1].split()[0]) / 1e3

    def close(self):
        pass


def shims(folder):
    """The prototype calls a linker by a name that may not be installed."""
    return {**environment(1), "PATH": os.path.join(folder, "shims") + ":" + os.environ["PATH"]}


def find_prototype(build, log):
    """A built copy of ../shared/prototype, or None."""
    source = os.path.join(HERE, "..", "..", "..", "shared", "prototype")
    folder = os.path.join(build, "prototype")
    linker = shutil.which("ld.lld-22") or shutil.which("ld.lld") or shutil.which("ld")
    if not os.path.exists(os.path.join(source, "run.sh")) or not linker:
        return None
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "shims"))
    for name in os.listdir(source):
        if os.path.isfile(os.path.join(source, name)):
            shutil.copyfile(os.path.join(source, name), os.path.join(folder, name))
    os.symlink(linker, os.path.join(folder, "shims", "ld.lld-22"))
    done = subprocess.run(["sh", "./run.sh"], cwd=folder, env=shims(folder), stdout=log, stderr=log)
    return folder if done.returncode == 0 else None


def python_with(interpreter, module, log):
    command = [interpreter, "-c", f"import {module}, numpy"]
    return os.path.exists(interpreter) and subprocess.run(command, stdout=log, stderr=log).returncode == 0


def find_peers(build, log):
    """Name: (interpreter, script, further arguments, environment), or None for an absent one."""
    blas = "/usr/lib/x86_64-linux-gnu/openblas-openmp"
    env = {"LD_LIBRARY_PATH": blas} if os.path.isdir(blas) else {}
    venv = lambda name: os.path.join(build, "venv-" + name, "bin", "python")
    inductor = {"TORCHINDUCTOR_CACHE_DIR": os.path.join(build, "inductor")}
    shutil.rmtree(inductor["TORCHINDUCTOR_CACHE_DIR"], ignore_errors=True)
    torch, jax = python_with(venv("torch"), "torch", log), python_with(venv("jax"), "jax", log)
    current, compiled, xla = CURRENT
    return {
        DEBIAN: python_with("/usr/bin/python3", "torch", log) and
        ("/usr/bin/python3", "peer_torch.py", [], env) or None,
        current: torch and (venv("torch"), "peer_torch.py", [], {}) or None,
        compiled: torch and (venv("torch"), "peer_torch.py", ["--compile"], inductor) or None,
        xla: jax and (venv("jax"), "peer_jax.py", [], {}) or None,
    }
