# SPDX-License-Identifier: Apache-2.0
"""bench/RESULTS.md: one line a measurement; a run of some rows replaces these and keeps the rest."""
import datetime
import os
import platform
import re

HEAD = """\
# What was measured

Written by `bench/run`; a run of some rows replaces their lines and keeps the others. Ebb and its
peer run at the same time and are measured alternately, one after the other, on one machine with the
load generator; figures are medians over the runs, ratios are taken between the medians. Targets that
are ratios are read "ours to theirs". CPU says what Ebb and what the load generator (`ebb-load`) took
of the machine while Ebb was measured: 100 % is one core. A dagger marks a row where other programs
took more than 10 % of a core.

"""

COLUMNS = ["row", "what", "ours", "peer", "ratio", "target", "met", "CPU of Ebb / generator",
           "date, version"]


def machine():
    model = memory = disk = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            found = re.search(r"model name\s*:\s*(.+)", f.read())
            model = found[1] if found else platform.machine()
        with open("/proc/meminfo", encoding="utf-8") as f:
            found = re.search(r"MemTotal:\s+(\d+)", f.read())
            memory = f"{int(found[1]) / 1048576:.0f} GiB"
        with open("/proc/mounts", encoding="utf-8") as f:
            best = ""
            for line in f:
                _, where, kind = line.split()[:3]
                if os.environ.get("BENCH_WORK", "/").startswith(where) and len(where) >= len(best):
                    best, disk = where, kind
    except (OSError, TypeError):
        pass
    return f"{os.cpu_count()} cores of {model}, {memory}, {disk}, Linux {platform.release()}"


def line(result):
    cells = [str(result.get(c, "")) for c in COLUMNS]
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def write(path, results, versions, command):
    today = datetime.date.today().isoformat()
    for r in results:
        r["date, version"] = f"{today}, {versions['ebb']}"
    done = {r["row"] for r in results}
    kept = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            for old in f:
                name = old.split("|")[1].strip() if old.startswith("| ") else ""
                if name and name not in done and name != "row":
                    kept.append((name, old.rstrip("\n")))
    lines = kept + [(r["row"], line(r)) for r in results]
    order = list(versions["rows"])
    lines.sort(key=lambda l: order.index(l[0]) if l[0] in order else len(order))
    with open(path, "w", encoding="utf-8") as f:
        f.write(HEAD)
        f.write(f"Machine: {machine()}.\n")
        f.write(f"Peers: nginx {versions['nginx']}, docker-registry {versions['registry']}.\n")
        f.write(f"Last command: `{command}`, {today}.\n\n")
        f.write("| " + " | ".join(COLUMNS) + " |\n")
        f.write("|" + "---|" * len(COLUMNS) + "\n")
        for _, text in lines:
            f.write(text + "\n")
