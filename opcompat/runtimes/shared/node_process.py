"""A JavaScript library in a process of its own: Node, or a page of headless Chromium that Node drives. One JSON job a line, one answer a line."""

import json
import os
import shutil
import subprocess
import sys


class Refused(Exception):
    """What the library threw."""


class Node:
    """The process. `known` is what it said of itself when it had started."""

    def __init__(self, script, host, *arguments, flags=()):
        """script: beside the runtime's file; host: Node or Chromium; arguments follow the reply descriptor and the folder of modules."""
        node = shutil.which("node")
        if node is None:
            raise RuntimeError("Node is missing: install Node 20 or newer so that `node` is on PATH")
        browser = ""
        if host == "Chromium":
            browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")
            if not browser:
                raise RuntimeError("Chromium is missing: install it so that `chromium` is on PATH")
        read, write = os.pipe()
        modules = os.path.join(sys.prefix, "node", "node_modules")
        file = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), script)
        home = os.getcwd()  # scratch that is removed with the run: Chromium leaves profiles where it is killed
        environment = {**os.environ, "TMPDIR": home, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home}
        command = [node, *flags, file, str(write), modules, *arguments, browser]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2, pass_fds=[write], env=environment, text=True)
        os.close(write)
        self.replies = os.fdopen(read)
        self.known = json.loads(self.replies.readline() or "{}")
        if "versions" not in self.known:
            raise RuntimeError("%s does not start: %s" % (host, self.known.get("failed", "it ends without a word")))

    def ask(self, **job):
        """Return the answer of the library's process; where it is gone, this one goes too, which the runner takes for the crash it is."""
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            answer = self.replies.readline()
        except OSError:
            answer = ""
        if not answer:
            os.abort()
        answer = json.loads(answer)
        for line in answer.get("said", ()):
            sys.stderr.write(line + "\n")
        if "error" in answer:
            words = "%s: %s" % (answer["name"], answer["error"]) if answer["name"] != "Error" else answer["error"]
            if answer["trap"]:  # as a segmentation fault elsewhere: the module cannot be used any more
                sys.stderr.write("WebAssembly %s\n" % words)
                sys.stderr.flush()
                os.abort()
            raise Refused(words)
        return answer
