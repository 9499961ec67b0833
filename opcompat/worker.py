"""The child: runs in a runtime's own environment, announces each stage before it starts, and reports outputs and times. It never judges.

python worker.py RUNTIME_FILE CLASS REPLY_FD OPTIONS_JSON: one JSON job a line on stdin, JSON events on the reply descriptor, because SDKs
print on descriptors 1 and 2 from C++. Standard library and numpy only; any Python >= 3.8.
"""

import importlib.util
import json
import os
import sys
import time
import traceback

import numpy as np

ADDRESS_SPACE_GB = 12  # not resident: SDKs reserve far more than they touch; a runtime file may say otherwise, 0 for no limit
SAMPLE_S = 0.004  # of inferences one after the other make one sample
SAMPLES, MOST_SAMPLES = 15, 41  # at least and at most, of each side
ENOUGH_S, LONGEST_S = 0.25, 10.0  # of sampling once there are SAMPLES; at all


def load_runtime(path, name):
    spec = importlib.util.spec_from_file_location("runtime", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # behind all else: an SDK's own module of the same name is found first
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(path)), "shared"))
    return getattr(module, name)


def read_tensor(spec):
    """Return the array of {name, dtype, shape, file}; dtypes that numpy lacks stay raw unsigned integers."""
    if spec["dtype"] == "string":
        return np.array(json.loads(open(spec["file"]).read()), dtype=object).reshape(spec["shape"])
    try:
        dtype = np.dtype(spec["dtype"])
    except TypeError:
        dtype = np.dtype("uint16" if spec["dtype"] == "bfloat16" else "uint8")
    return np.fromfile(spec["file"], dtype=dtype).reshape(spec["shape"])


def write_tensor(array, path, dtype=None):
    """Write one output; return its {dtype, shape, file}. A (array, dtype name) pair carries dtypes that numpy lacks."""
    if isinstance(array, tuple):
        array, dtype = array
    array = np.asarray(array)
    if array.dtype.kind in "OU":
        with open(path, "w") as file:
            json.dump([str(s) for s in array.ravel()], file)
        return {"dtype": "string", "shape": list(array.shape), "file": path}
    np.asarray(array, order="C").tofile(path)
    return {"dtype": dtype or str(array.dtype), "shape": list(array.shape), "file": path}


def feeds(job):
    """Return (inputs by name, dtypes by input or output name) of a job."""
    dtypes = dict(zip(job["outputs"], job["output_dtypes"]))
    dtypes.update((spec["name"], spec["dtype"]) for spec in job["inputs"])
    return {spec["name"]: read_tensor(spec) for spec in job["inputs"]}, dtypes


def in_turns(subject, baseline, clock=time.process_time):
    """Time two inferences in turns, so that what disturbs the machine disturbs both; return two lists of milliseconds per inference."""
    sides = []
    for infer in (subject, baseline):
        infer()
        begun = clock()
        infer()
        sides.append((infer, max(1, int(SAMPLE_S / max(clock() - begun, 1e-6))), []))
    turns, begun = list(sides), clock()
    while len(sides[0][2]) < SAMPLES or (clock() - begun < ENOUGH_S and len(sides[0][2]) < MOST_SAMPLES):
        for infer, repeats, samples in turns:
            start = clock()
            for _ in range(repeats):
                infer()
            samples.append((clock() - start) / repeats * 1e3)
        turns.reverse()  # A B, B A: neither side always follows the other
        if clock() - begun > LONGEST_S:
            break
    return [samples for _, _, samples in sides]


def limit(address_space):
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if address_space:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    except (ImportError, ValueError, OSError):
        pass


def main():
    file, name, descriptor, options = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
    replies = os.fdopen(descriptor, "w", buffering=1)

    def say(**event):
        replies.write(json.dumps(event) + "\n")
        replies.flush()

    try:
        started = time.perf_counter()
        kind = load_runtime(file, name)
        limit(getattr(kind, "ADDRESS_SPACE_GB", ADDRESS_SPACE_GB) << 30)
        runtime = kind(options)
        say(hello=runtime.versions(), import_ms=round((time.perf_counter() - started) * 1e3, 1), python=sys.version.split()[0])
    except BaseException as error:
        say(unavailable="%s: %s" % (type(error).__name__, error))
        return
    for line in sys.stdin:
        work(runtime, json.loads(line), say)


def work(runtime, job, say):
    times, current, side = {}, ["start", time.perf_counter()], ""
    runtime.op = job.get("op", "")
    log_from = os.fstat(2).st_size

    def stage(name):
        now = time.perf_counter()
        times[current[0]] = times.get(current[0], 0) + (now - current[1]) * 1e3
        say(job=job["id"], stage=name)
        current[:] = [name, time.perf_counter()]

    def log():
        sys.stderr.flush()
        with open(job["log"], "rb") as file:
            file.seek(log_from)
            return file.read(1 << 20).decode("utf-8", "replace")

    def written(arrays, side):
        if arrays is None:
            return None
        path = os.path.join(job["scratch"], "%s.%s" % (job["id"], side))
        return [write_tensor(array, path + str(k)) for k, array in enumerate(arrays)]

    say(job=job["id"], stage="start")
    try:
        samples = None
        if "baseline" in job:
            subject, read = runtime.opened(job["model"], *feeds(job), job["outputs"], stage)
            outputs, about = read(subject())
            other, side = job["baseline"], "the baseline does not run: "
            baseline, _ = runtime.opened(other["model"], *feeds(other), other["outputs"], stage)
            baseline()
            side = ""
            samples = in_turns(subject, baseline)
        else:
            outputs, about = runtime.probe(job["model"], *feeds(job), job["outputs"], stage)
        stage("compare")
        translated = about.pop("translated", None)
        done = {"outputs": written(outputs, ""), "translated": written(translated, "t"), "about": about, "samples": samples}
    except Exception as error:
        times[current[0]] = times.get(current[0], 0) + (time.perf_counter() - current[1]) * 1e3
        text = getattr(runtime, "explain", lambda error, log: "")(error, log()) or str(error) or traceback.format_exc(limit=-1)
        aside = side or type(error).__name__ == "CannotFeed" or any(words in text for words in getattr(runtime, "ASIDE", ()))
        done = {"failed": type(error).__name__, "stage": current[0], "message": (side + text)[:4000], "broken": bool(aside)}
        done["translated"] = written(getattr(error, "translated", None), "t")
    tidy = getattr(runtime, "tidy", lambda log: log)
    say(job=job["id"], done=done, times={k: round(v, 3) for k, v in times.items()}, stderr=tidy(log())[-1000:])


if __name__ == "__main__":
    main()
