"""Which NVIDIA GPU is here, as its driver says."""

import subprocess


def find():
    """Return the first NVIDIA GPU's name and the driver's version. Raise where there is none."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError("no NVIDIA driver: nvidia-smi cannot be run: %s" % error) from None
    said = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode or "," not in said:
        raise RuntimeError("no NVIDIA GPU: nvidia-smi says %r" % said[:200])
    name, driver = said.splitlines()[0].rsplit(",", 1)
    return {"device": name.strip(), "driver": driver.strip()}
