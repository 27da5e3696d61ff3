"""What coro is to reach, as ratios of figures of one run (memory of connections: in KB), and
whether it does.

A target is a name, the most it may be on 5.2 to 5.4, on 5.1 and on LuaJIT, and a function that
finds the ratio among the figures of one runtime; None where they were not measured.
"""


class Figures:
    """Of one runtime: what job, case and contender gave."""

    def __init__(self, records, runtime):
        self.known = {
            (r["job"], r["case"], r["contender"]): r.get("median", r.get("bytes"))
            for r in records
            if r.get("runtime") == runtime
        }

    def of(self, job, case, contender="coro"):
        return self.known.get((job, case, contender))

    def ratio(self, job, cases, over="standard", of="coro"):
        """The largest of the cases."""
        pairs = [(self.of(job, case, of), self.of(job, case, over)) for case in cases]
        return max(a / b for a, b in pairs) if all(a and b for a, b in pairs) else None


SMALL_RINGS = ["2", "10", "100"]


def each_value(figures):
    def slope(contender):
        many, none = (figures.of("generator", f"values {n}", contender) for n in (200, 0))
        return many and (many - none) / 200

    return slope("coro") and slope("coro") / slope("standard")


def beside_many(figures):
    many = figures.ratio("create", ["beside 100000"])
    return many and many / figures.ratio("create", ["alone"])


def idle_kilobytes(figures):
    taken = figures.of("loop", "idle")
    return taken and taken / 1000


def idle_kilobytes_of_loop(figures):
    taken = figures.of("loop", "idle")
    return taken and (taken - figures.of("loop", "idle, LuaSocket", "luasocket")) / 1000


def beside_idle(case):
    def find(figures):
        alone = figures.of("loop", case)
        return alone and figures.of("loop", f"{case} beside idle") / alone

    return find


TARGETS = [
    ("hop, ring of 2 to 100", (0.45, 0.50, 0.65), lambda f: f.ratio("ring", SMALL_RINGS)),
    ("hop, ring of 10,000", (0.45, 0.45, 1.2), lambda f: f.ratio("ring", ["10000"])),
    ("hop, ring of 10,000 shuffled", (0.9, 0.9, 2.0), lambda f: f.ratio("ring", ["10000 shuffled"])),
    ("hop, ring of 2 to 100, to pure Lua", (0.15, 0.18, 0.40),
     lambda f: f.ratio("ring", SMALL_RINGS, "pure Lua")),
    ("generator step by wrap", (0.60, 0.80, 1.25), lambda f: f.ratio("generator", ["wrap"])),
    ("generator step by resume", (0.60, 0.80, 1.35), lambda f: f.ratio("generator", ["resume"])),
    ("one value more in a step", (1.0, 1.0, 1.0), each_value),
    ("create, run, end", (1.25, 1.5, 2.0), lambda f: f.ratio("create", ["alone"])),
    ("the same beside 100,000, to alone", (1.1, 1.1, 1.1), beside_many),
    ("pinned hop to plain mounted hop", (1.1, 1.1, 1.1),
     lambda f: max(filter(None, (f.ratio("pinned", ["two threads"], "plain", place)
                                 for place in ("in table.sort", "in __index"))), default=None)),
    ("bytes of an unmounted thread", (1.10, 1.10, 1.30), lambda f: f.ratio("memory", ["unmounted"])),
    ("bytes of a handler in a generator", (1.3, 1.3, 1.3), lambda f: f.ratio("memory", ["pairs"])),
    ("echo, instructions to luv chunks", (1.4, 1.4, 1.4),
     lambda f: f.ratio("loop", ["instructions"], "luv chunks")),
    ("echo, time to cqueues", (1.0, 1.0, 1.0), lambda f: f.ratio("loop", ["echo"], "cqueues")),
    ("KB of an idle connection", (3.5, 3.5, 3.5), idle_kilobytes),
    ("the same without LuaSocket's own", (3.5, 3.5, 3.5), idle_kilobytes_of_loop),
    ("bytes of it to cqueues", (1.0, 1.0, 1.0), lambda f: f.ratio("loop", ["idle"], "cqueues")),
    ("echo beside 10,000 idle, to alone", (1.05, 1.05, 1.05), beside_idle("echo")),
    ("the same, instructions", (1.05, 1.05, 1.05), beside_idle("instructions")),
]


def rows(records, runtimes):
    """For each target that something was measured for: its name and, by runtime, the ratio, what it
    may be, or None."""
    figures = [Figures(records, runtime) for runtime in runtimes]
    for name, (puc, puc51, jit), find in TARGETS:
        most = {"lua5.1": puc51, "luajit": jit}
        cells = []
        for runtime, known in zip(runtimes, figures):
            found = find(known)
            cells.append(None if found is None else (found, most.get(runtime, puc)))
        if any(cells):
            yield name, cells
