// Drives TensorFlow.js for tensorflow.py: `node tfjs.js REPLY MODULES BACKEND CHROMIUM`.
// One JSON request a line on stdin, one JSON answer a line on descriptor REPLY. CHROMIUM is "" where Node itself is the host; else the same functions
// (the first half of this file) are put into a page of a headless Chromium, which sees a server on 127.0.0.1 and no other network.
"use strict";

var opcompat = (() => {
  const TYPES = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  let tf, model, names;

  function base64(view) {
    const raw = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    let made = "";
    for (let i = 0; i < raw.length; i += 8192) made += String.fromCharCode(...raw.subarray(i, i + 8192));
    return btoa(made);
  }

  async function start({ library, backend, paths }) {
    tf = library || globalThis.tf;
    if (backend === "wasm") tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
    if (backend === "webgl") tf.env().set("WEBGL_CPU_FORWARD", false); // small tensors would be computed on the CPU
    if (paths) tf.wasm.setWasmPaths(paths);
    if (!(await tf.setBackend(backend)) || tf.getBackend() !== backend) throw new Error(`the backend ${backend} does not start`);
    await tf.ready();
    return { float32: backend !== "webgl" || tf.env().getBool("WEBGL_RENDER_FLOAT32_ENABLED") };
  }

  async function load({ json, weights, outputs }) {
    const { modelTopology, weightsManifest, signature, ...rest } = json;
    const key = (text) => text.replace(/:0$/, "");
    const given = Object.entries(signature.inputs || {}).map(([name, info]) => [key(name), info]);
    const made = Object.fromEntries(Object.entries(signature.outputs || {}).map(([name, info]) => [key(name), info.name]));
    names = { inputs: Object.fromEntries(given.map(([name, info]) => [name, info.name])) };
    // without names of its own a signature has the graph's, in alphabetical order; output_0 and on where the model had to be saved another way
    const sorted = [...outputs].sort();
    const plain = (k) => (k ? `Identity_${k}` : "Identity");
    names.outputs = outputs.map((name, k) => made[name] || made[`output_${k}`] || made[plain(sorted.indexOf(name))]);
    const specs = (weightsManifest || []).flatMap((group) => group.weights);
    const parts = { modelTopology, signature, ...rest, weightSpecs: specs, weightData: bytes(weights).buffer };
    model = await tf.loadGraphModel({ load: async () => parts });
    const lost = outputs.filter((_, k) => !names.outputs[k]);
    return { wanted: Object.fromEntries(given.map(([name, info]) => [name, ((info.tensorShape || {}).dim || []).length])), lost };
  }

  async function run({ inputs }) {
    const feeds = {};
    for (const [name, given] of Object.entries(inputs)) {
      const data = given.dtype === "string" ? given.strings : new TYPES[given.dtype](bytes(given.data).buffer);
      feeds[names.inputs[name]] = tf.tensor(data, given.dims, given.dtype);
    }
    const made = await model.executeAsync(feeds, names.outputs);
    const answers = [];
    for (const tensor of Array.isArray(made) ? made : [made]) {
      const data = await tensor.data();
      const answer = { dtype: tensor.dtype, dims: tensor.shape };
      if (tensor.dtype === "string") answers.push({ ...answer, strings: [...data] });
      else if (tensor.dtype in TYPES) answers.push({ ...answer, data: base64(TYPES[tensor.dtype].from(data)) });
      else answers.push(null);
    }
    tf.dispose([made, feeds]);
    return { made: answers };
  }

  async function close() {
    if (model) model.dispose();
    model = null;
    return {};
  }

  async function answer(job) {
    try {
      return await { start, load, run, close }[job.do](job);
    } catch (error) {
      const trap = typeof WebAssembly !== "undefined" && error instanceof WebAssembly.RuntimeError;
      return { error: String((error && error.message) || error), name: (error && error.name) || typeof error, trap };
    }
  }
  return { answer };
})();

if (typeof process !== "undefined" && typeof require === "function" && require.main === module) {
  const fs = require("fs"), http = require("http"), path = require("path");
  const [descriptor, modules, backend, chromium] = process.argv.slice(2);
  const reply = (answer) => fs.writeSync(Number(descriptor), JSON.stringify(answer) + "\n");
  const die = (why) => {
    fs.writeSync(2, `${why}\n`);
    process.exit(70);
  };
  const FLAGS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-angle=swiftshader", "--use-gl=angle", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ];

  async function here() {
    const library = require(path.join(modules, "@tensorflow/tfjs"));
    if (backend === "wasm") require(path.join(modules, "@tensorflow/tfjs-backend-wasm"));
    const started = await opcompat.answer({ do: "start", library, backend });
    if (started.error) throw new Error(started.error);
    return [{ node: process.versions.node }, started, opcompat.answer];
  }

  async function browser() {
    const server = http.createServer((request, response) => {
      const script = request.url === "/tf.min.js";
      response.setHeader("content-type", script ? "text/javascript" : "text/html");
      if (!script) return response.end("<!doctype html><meta charset=utf-8><title>opcompat</title>");
      fs.createReadStream(path.join(modules, "@tensorflow/tfjs/dist/tf.min.js")).pipe(response);
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    const address = `http://127.0.0.1:${server.address().port}/`;
    const launched = await require(path.join(modules, "playwright-core")).chromium.launch({ executablePath: chromium, headless: true, args: FLAGS });
    launched.on("disconnected", () => die("Chromium is gone"));
    const page = await launched.newPage();
    page.on("crash", () => die("the page crashed"));
    await page.route("**/*", (route) => (route.request().url().startsWith(address) ? route.continue() : route.abort()));
    await page.goto(address);
    await page.addScriptTag({ url: `${address}tf.min.js` });
    await page.addScriptTag({ content: fs.readFileSync(__filename, "utf8") });
    const ask = (job) => page.evaluate((j) => opcompat.answer(j), job);
    const started = await ask({ do: "start", backend });
    if (started.error) throw new Error(started.error);
    started.adapter = await page.evaluate(() => {
      const context = document.createElement("canvas").getContext("webgl2");
      const named = context && context.getExtension("WEBGL_debug_renderer_info");
      return named ? context.getParameter(named.UNMASKED_RENDERER_WEBGL) : "";
    });
    return [{ chromium: launched.version() }, started, ask];
  }

  (async () => {
    const [versions, started, ask] = await (chromium ? browser() : here()).catch((error) => {
      reply({ failed: error.message.split("\n")[0] });
      throw error;
    });
    reply({ versions, ...started });
    for await (const line of require("readline").createInterface({ input: process.stdin })) reply(await ask(JSON.parse(line)));
    process.exit(0);
  })().catch((error) => die(String((error && error.message) || error)));
}
