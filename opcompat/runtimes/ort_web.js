// Drives onnxruntime-web and onnxjs for ort_web.py: `node ort_web.js REPLY MODULES BACKEND FLAVOUR CHROMIUM`.
// One JSON request a line on stdin, one JSON answer a line on descriptor REPLY. CHROMIUM is "" where Node itself is the host; else the same functions
// (the first half of this file) are put into a page of a headless Chromium, which sees a server on 127.0.0.1 and no other network.
"use strict";

var opcompat = (() => {
  const TYPES = {
    float32: Float32Array, float64: Float64Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, int32: Int32Array,
    uint32: Uint32Array, int64: BigInt64Array, uint64: BigUint64Array, bool: Uint8Array,
    float16: typeof Float16Array === "undefined" ? Uint16Array : Float16Array,
  };
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const array = (input) => (input.dtype === "string" ? input.strings : new TYPES[input.dtype](bytes(input.data).buffer));

  function text(view) {
    const raw = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    let made = "";
    for (let i = 0; i < raw.length; i += 8192) made += String.fromCharCode(...raw.subarray(i, i + 8192));
    return btoa(made);
  }

  function output(tensor) {
    if (!tensor || !tensor.dims || !(tensor.type === "string" || tensor.type in TYPES)) return null;
    const made = { dtype: tensor.type, dims: [...tensor.dims].map(Number) };
    let view = tensor.data;
    if (tensor.type === "string") return { ...made, strings: [...view] };
    if (!(view instanceof TYPES[tensor.type])) {
      view = TYPES[tensor.type].from(view); // ONNX.js reads some integers from textures of floats and leaves them in a Float32Array
      if (tensor.data.some((v, i) => v !== view[i])) return { ...made, dtype: "float32", data: text(tensor.data) }; // which are fractions
    }
    return { ...made, data: text(view) };
  }

  let library, backend, flavour, session;
  let said = [];

  function hear(line) {
    if (!/\[[VI]:onnxruntime/.test(line) || line.includes("VerifyEachNodeIsAssignedToAnEp")) said.push(line.slice(0, 1000));
  }

  async function start(given) {
    ({ backend, flavour } = given);
    library = given.library || (flavour === "onnxjs" ? globalThis.onnx : globalThis.ort);
    for (const name of ["log", "info", "warn", "error", "debug"]) console[name] = (...words) => hear(words.join(" "));
    if (flavour === "onnxjs") {
      library.backend.wasm.worker = 0;
    } else {
      library.env.wasm.numThreads = 1;
      if (given.paths) library.env.wasm.wasmPaths = given.paths;
    }
    return {};
  }

  async function load({ model }) {
    said = [];
    session = null;
    if (flavour === "onnxjs") {
      session = new library.InferenceSession({ backendHint: backend });
      await session.loadModel(bytes(model));
      return { units: session.session._ops.map((op) => op.constructor.name) }; // CpuConv, WasmConv; letters in the minified build
    }
    if (backend !== "webgpu") {
      session = await library.InferenceSession.create(bytes(model), { executionProviders: [backend], logSeverityLevel: 2 });
      return {};
    }
    // the verbose log is the only place that tells who took which node
    const options = { executionProviders: [backend], logSeverityLevel: 0, extra: { session: { disable_cpu_ep_fallback: "1" } } };
    try {
      session = await library.InferenceSession.create(bytes(model), options);
    } catch {
      said = [];
      delete options.extra;
      session = await library.InferenceSession.create(bytes(model), options);
    }
    return {};
  }

  async function run({ inputs, outputs }) {
    let made;
    if (flavour === "onnxjs") {
      // what InferenceSession.run does, but for the conversion of outputs: that makes float64 float32 and refuses small integers.
      // The public tensor refuses to be empty, the library's own inside a graph does not
      const Inner = new library.Tensor([0], "float32", [1]).internalTensor.constructor;
      const outer = (i) => new library.Tensor(array(i), i.dtype, i.dims).internalTensor;
      const inner = (i) => (i.dims.includes(0) ? new Inner(i.dims, i.dtype, undefined, undefined, array(i)) : outer(i));
      const feeds = new Map(Object.entries(inputs).map(([name, i]) => [name, inner(i)]));
      const all = await session.session.run(feeds);
      made = outputs.map((name) => output(all.get(name)));
    } else {
      const feeds = Object.fromEntries(Object.entries(inputs).map(([name, i]) => [name, new library.Tensor(i.dtype, array(i), i.dims)]));
      const all = await session.run(feeds, outputs);
      made = outputs.map((name) => output(all[name]));
    }
    return { made, said: [...said] };
  }

  async function close() {
    const old = session;
    session = null;
    if (old && flavour === "onnxjs") old.session.sessionHandler.dispose();
    else if (old) await old.release();
    return {};
  }

  async function answer(job) {
    try {
      return await { start, load, run, close }[job.do](job);
    } catch (error) {
      const trap = typeof WebAssembly !== "undefined" && error instanceof WebAssembly.RuntimeError;
      return { error: String((error && error.message) || error), name: (error && error.name) || typeof error, trap, said: [...said] };
    }
  }
  return { answer };
})();

if (typeof process !== "undefined" && typeof require === "function" && require.main === module) {
  const fs = require("fs"), http = require("http"), path = require("path");
  const [descriptor, modules, backend, flavour, chromium] = process.argv.slice(2);
  const reply = (answer) => fs.writeSync(Number(descriptor), JSON.stringify(answer) + "\n");
  const die = (why) => {
    fs.writeSync(2, `${why}\n`);
    process.exit(70);
  };
  const npm = flavour === "onnxjs" ? "onnxjs" : "onnxruntime-web";
  const PAGE = "<!doctype html><meta charset=utf-8><title>opcompat</title>";
  const KINDS = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
  const FLAGS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-angle=swiftshader", "--use-gl=angle", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ];

  async function here() {
    await opcompat.answer({ do: "start", library: require(path.join(modules, npm)), backend, flavour });
    return [{}, opcompat.answer];
  }

  async function browser() {
    const types = (name) => KINDS[path.extname(name)] || "text/html";
    const server = http.createServer((request, response) => {
      const file = path.join(modules, path.normalize(decodeURIComponent(request.url.split("?")[0])));
      response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
      response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
      response.setHeader("content-type", types(file));
      if (types(file) === "text/html") return response.end(PAGE);
      fs.createReadStream(file).on("error", () => response.writeHead(404).end()).pipe(response);
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    const address = `http://127.0.0.1:${server.address().port}/`;
    const launched = await require(path.join(modules, "playwright-core")).chromium.launch({ executablePath: chromium, headless: true, args: FLAGS });
    launched.on("disconnected", () => die("Chromium is gone"));
    const file = flavour === "onnxjs" ? "onnxjs/dist/onnx.min.js" : `onnxruntime-web/dist/ort.${flavour}.min.js`;
    let page, heard = [];

    async function open() {
      if (page) await page.close();
      page = await launched.newPage();
      page.on("crash", () => die("the page crashed"));
      page.on("console", (message) => heard.push(message.text().slice(0, 1000))); // the browser's own words: programs that WebGPU refuses
      await page.route("**/*", (route) => (route.request().url().startsWith(address) ? route.continue() : route.abort()));
      await page.goto(address);
      await page.addScriptTag({ url: address + file });
      await page.addScriptTag({ content: fs.readFileSync(__filename, "utf8") });
      await page.evaluate((job) => opcompat.answer(job), { do: "start", backend, flavour, paths: `${address}onnxruntime-web/dist/` });
      return page.evaluate(async () => {
        const context = document.createElement("canvas").getContext("webgl2");
        const named = context && context.getExtension("WEBGL_debug_renderer_info");
        const gpu = navigator.gpu && (await navigator.gpu.requestAdapter());
        const info = gpu && gpu.info;
        return {
          webgl: named ? context.getParameter(named.UNMASKED_RENDERER_WEBGL) : "",
          webgpu: info ? `${info.vendor} ${info.architecture} ${info.description}${gpu.features.has("shader-f16") ? " shader-f16" : ""}` : "",
        };
      });
    }
    const adapters = await open();
    let since = 0;
    const ask = async (job) => {
      if (job.do === "load" && since++ >= 100) {
        await open(); // what onnxjs and the drivers leave behind
        since = 1;
      }
      heard = [];
      const answer = await page.evaluate((j) => opcompat.answer(j), job);
      if (job.do === "run" && answer.error) since = 100; // JSEP may refuse what comes after a kernel that threw
      return { ...answer, said: [...(answer.said || []), ...heard] };
    };
    return [{ versions: { chromium: launched.version() }, adapters }, ask];
  }

  (async () => {
    const [known, ask] = await (chromium ? browser() : here()).catch((error) => {
      reply({ failed: error.message.split("\n")[0] });
      throw error;
    });
    const { version } = JSON.parse(fs.readFileSync(path.join(modules, npm, "package.json"), "utf8"));
    reply({ versions: { [npm]: version, node: process.versions.node, ...known.versions }, adapters: known.adapters });
    for await (const line of require("readline").createInterface({ input: process.stdin })) {
      const job = JSON.parse(line);
      if (job.do === "load") job.model = fs.readFileSync(job.path).toString("base64");
      reply(await ask(job));
    }
    process.exit(0);
  })().catch((error) => die(String((error && error.message) || error)));
}
