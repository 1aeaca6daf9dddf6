"""The peers' end of a process: a line of JSON in, a line of JSON out.

The first line out is a greeting: what is measured, its versions, what is missing. The
case of the last request stays prepared, so that turns cost only their runs.
"""
import json
import sys
import time

answers = sys.stdout
sys.stdout = sys.stderr  # what libraries print is no answer


def say(x):
    print(json.dumps(x), file=answers, flush=True)


def refuse(why):
    say({"error": why})
    sys.exit(0)


def status(key):
    """A figure of this process in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/status") as f:
            return next((int(line.split()[1]) << 10 for line in f if line.startswith(key + ":")), 0)
    except OSError:
        return 0


def reset_peak():
    """Count the most resident memory from now on."""
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass


def brief(e):
    lines = [x for x in str(e).splitlines() if x.strip()]
    return f"{type(e).__name__}: {lines[0] if lines else ''}"


def wall(run, case):
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


class Prepared:
    """The case that is ready to run. build gives its variants, functions by name; time
    runs one once and gives the seconds."""

    def __init__(self, build, time=wall):
        self.build, self.time = build, time
        self.asked, self.variants, self.notes = None, {}, []

    def forget(self):
        """Called when the last case is gone."""

    def memory(self):
        return 0

    def switch(self, case, only):
        if (case, only) == self.asked:
            return
        self.asked, self.variants, self.notes = None, {}, []
        self.forget()
        for name, run in self.build(case).items():
            if only and name != only:
                continue
            try:
                for _ in range(2):  # compile, choose kernels, fill caches
                    self.time(run, case)
                self.variants[name] = run
            except Exception as e:  # one variant less, said in the table
                self.notes.append(f"{name}: {brief(e)}")
        self.asked = (case, only)

    def turn(self, request):
        case = request["case"]
        self.switch(case, request.get("only"))
        reset_peak()
        out = {}
        for name, run in self.variants.items():
            began, out[name] = time.perf_counter(), []
            while len(out[name]) < request["runs"] and (not out[name] or time.perf_counter() - began < request["seconds"]):
                out[name].append(self.time(run, case))
        return {"variants": out, "memory": self.memory(), "peak": status("VmHWM"), "notes": self.notes}


def serve(prepared, greeting):
    say(greeting | {"resident": status("VmRSS")})
    for line in sys.stdin:
        try:
            say(prepared.turn(json.loads(line)))
        except Exception as e:
            say({"error": brief(e)})
