# SPDX-License-Identifier: Apache-2.0
"""What every row uses: the folder, the servers, the load generator, alternation and medians."""
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

from . import servers

Failed = servers.Failed


def median(runs, key):
    """Of a member, or of a path such as "latency_us.get.p99"."""
    values = []
    for r in runs:
        for part in key.split("."):
            r = r[part]
        values.append(r)
    return statistics.median(values)


def target_at_least(ratio, bound):
    return {"ratio": f"{ratio:.2f}", "target": f"≥ {bound}", "met": "yes" if ratio >= bound else "no"}


def target_at_most(ratio, bound, unit=""):
    return {"ratio": f"{ratio:.2f}" if not unit else "", "target": f"≤ {bound}{unit}",
            "met": "yes" if ratio <= bound else "no"}


class Bench:
    """One run of bench/run. Servers and data are made when a row first asks for them."""

    def __init__(self, load, work, raw, quick, profile):
        self.load = load
        self.work = work
        self.raw = raw
        self.quick = quick
        self.profile = profile
        self.row = ""
        self.ours_class = servers.Ebb
        self.started = []
        self.kept = {}
        self.peaks = {}  # MB by row, of servers that deleted
        self.profiled = set()
        os.makedirs(raw, exist_ok=True)

    # ---- sizes -----------------------------------------------------------------------------

    def size(self, full, quick):
        return quick if self.quick else full

    def pairs(self, full):
        return 1 if self.profile else self.size(full, min(full, 2))

    # ---- servers ---------------------------------------------------------------------------

    def start(self, kind):
        s = kind(self.work)
        self.started.append(s)
        return s.start()

    def ours(self):
        return self.start(self.ours_class)

    def keep(self, name, make):
        """Something that several rows share, made once."""
        if name not in self.kept:
            before = list(self.started)
            self.kept[name] = make()
            for s in self.started:
                if s not in before:
                    s.shared = True
        return self.kept[name]

    def row_end(self):
        """Stops what the row started for itself and removes its data."""
        for s in list(self.started):
            if not getattr(s, "shared", False):
                s.remove()
                self.started.remove(s)

    def close(self):
        for s in self.started:
            s.remove()
        shutil.rmtree(self.work, ignore_errors=True)

    # ---- the load generator ----------------------------------------------------------------

    def arguments(self, server, work, **options):
        out = [self.load, work]
        if server:
            out += ["--to", server.to, "--pid", str(server.pid)]
        for name, value in options.items():
            name = "--" + name.replace("_", "-")
            out += [name] if value is True else [name, str(value)]
        return out

    def record(self, result, side, what):
        others = result["machine_s"] - sum(
            result[k] for k in ("load_user_s", "load_sys_s", "server_user_s", "server_sys_s"))
        seconds = max(result["seconds"], 0.001)
        result.update(row=self.row, side=side, what=what, at=time.time(), others=others / seconds)
        with open(os.path.join(self.raw, self.row + ".jsonl"), "a", encoding="utf-8") as f:
            f.write(json.dumps(result) + "\n")
        if result["errors"]:
            print(f"  ! {side}: {result['errors']} errors: {result['first_error']}", flush=True)
        return result

    @contextlib.contextmanager
    def profiling(self, server, what):
        """With --profile: one record of what the server does meanwhile, by name."""
        if not self.profile or not isinstance(server, self.ours_class) or what == "setup" or \
                (self.row, what) in self.profiled:
            yield
            return
        self.profiled.add((self.row, what))
        data = os.path.join(self.raw, f"{self.row}-{what}.perf")
        perf = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", "499", "--call-graph",
             "dwarf,16384", "-m", "1024", "-o", data,
             "-p", ",".join(str(p) for p in [server.pid] + servers.children(server.pid))],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        try:
            yield
        finally:
            perf.send_signal(2)
            perf.wait()
            profile_print(data)

    def run(self, server, work, side="ours", what="", **options):
        with self.profiling(server, what or work):
            r = subprocess.run(self.arguments(server, work, **options), capture_output=True,
                               text=True)
        if r.returncode != 0:
            raise Failed(f"{self.row}: {r.stderr.strip()}")
        result = json.loads(r.stdout)
        if what != "setup":
            self.record(result, side, what)
        return result

    def alternate(self, sides, pairs, what=""):
        """Runs each of `sides` ({name: function}) in turn, `pairs` times; {name: [results]}."""
        results = {name: [] for name in sides}
        for _ in range(pairs):
            for name, fn in sides.items():
                results[name].append(fn())
        return results

    def hold(self, server, work, **options):
        return Held(self, server, work, options)

    def beside(self, server, works):
        """Generators that run until end(): {name: (work, options)}."""
        return Beside(self, server, works)

    def note_cpu(self, runs):
        """The share of ours and of the generator; a dagger when something else ran."""
        seconds = sum(r["seconds"] for r in runs)
        server = sum(r["server_user_s"] + r["server_sys_s"] for r in runs)
        load = sum(r["load_user_s"] + r["load_sys_s"] for r in runs)
        others = statistics.median(r["others"] for r in runs)
        mark = " †" if others > 0.1 else ""
        return {"CPU of Ebb / generator": f"{100 * server / seconds:.0f} % / {100 * load / seconds:.0f} %{mark}"}


class Held:
    """Connections that stay open while something else is measured."""

    def __init__(self, bench, server, work, options):
        self.process = subprocess.Popen(bench.arguments(server, work, **options),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        if not first:
            self.process.wait()
            raise Failed(f"{bench.row}: {work} could not open its connections")
        self.ready = json.loads(first)["ready"]

    def end(self):
        out, _ = self.process.communicate()
        return json.loads(out)


class Beside:
    """Load on a server while something else is done to it."""

    def __init__(self, bench, server, works):
        self.bench = bench
        self.processes = {
            name: subprocess.Popen(bench.arguments(server, work, seconds=3600, **options),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for name, (work, options) in works.items()}

    def end(self, side, what):
        """{name: result}; generators are no disturbance to each other."""
        for p in self.processes.values():
            p.terminate()
        found = {}
        for name, p in self.processes.items():
            out, err = p.communicate()
            if p.returncode != 0 or not out:
                raise Failed(f"{self.bench.row}: {name} beside it: {err.strip()}")
            found[name] = json.loads(out)
        load = {name: r["load_user_s"] + r["load_sys_s"] for name, r in found.items()}
        for name, r in found.items():
            r["machine_s"] -= sum(load.values()) - load[name]
            self.bench.record(r, side, f"{what} {name}")
        return found


def profile_print(data):
    """Time by thread, by library, by function, and by function of ours with what it calls."""
    views = (("threads", ["--no-children", "--sort", "comm"]),
             ("libraries", ["--no-children", "--sort", "comm,dso"]),
             ("functions", ["--no-children", "--sort", "dso,symbol"]),
             ("with what they call", ["--children", "--sort", "dso,symbol"]))
    for title, extra in views:
        r = subprocess.run(["perf", "report", "-i", data, "--stdio", "-g", "none",
                            "--percent-limit", "1"] + extra, capture_output=True, text=True)
        lines = [l for l in r.stdout.splitlines() if l and not l.startswith("#")]
        print(f"  {os.path.basename(data)}, {title}:")
        for l in lines[:40]:
            print("    " + l.rstrip(" -"))
    sys.stdout.flush()
