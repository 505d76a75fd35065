"use strict";
// Decodes latents in the page, from a decoder's own weights, and shows where the test images lie.

function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

function halvesOf(text) {
  const halves = new Uint16Array(bytesOf(text).buffer);
  const table = halvesOf.table || (halvesOf.table = Float32Array.from({ length: 65536 }, (_, h) => {
    const sign = h & 0x8000 ? -1 : 1, exponent = (h >> 10) & 31, fraction = h & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }));
  return Float32Array.from(halves, (h) => table[h]);
}

// What a layer's inputs are multiplied by lies in rows of its outputs, as PyTorch has it.
function makeDecoder(layers) {
  const made = layers.map((l) => ({ ...l, weight: halvesOf(l.weight), bias: halvesOf(l.bias) }));
  return (z) => {
    let h = Float32Array.from(z);
    made.forEach((layer, index) => {
      const last = index === made.length - 1;
      const out = new Float32Array(layer.outputs);
      for (let o = 0, w = 0; o < layer.outputs; o++) {
        let sum = layer.bias[o];
        for (let i = 0; i < layer.inputs; i++, w++) sum += layer.weight[w] * h[i];
        out[o] = last ? 1 / (1 + Math.exp(-sum)) : Math.tanh(sum);
      }
      h = out;
    });
    return h;
  };
}

const COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"];

function drawImage(canvas, values) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(28, 28);
  for (let i = 0; i < 784; i++) {
    const grey = Math.round(255 * values[i]);
    image.data.set([grey, grey, grey, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

function makeExplorer(root, space, shared) {
  const canvas = root.querySelector(".space"), context = canvas.getContext("2d");
  const decoded = root.querySelector(".decoded"), nearest = root.querySelector(".nearest");
  const said = root.querySelector(".said"), size = canvas.width, decode = makeDecoder(space.layers);
  const points = halvesOf(space.points), count = shared.labels.length;
  const screen = new Float32Array(2 * count);
  const scale = size / 2 / (1.08 * space.reach);
  let turn = space.size === 3 ? [0.6, 0.4] : [0, 0];
  const cursor = new Float32Array(space.size);
  let drag = null, waiting = false;

  // Rows are the screen's right, up and toward the eye, in latent space.
  function axes() {
    const [a, b] = turn, ca = Math.cos(a), sa = Math.sin(a), cb = Math.cos(b), sb = Math.sin(b);
    return [[ca, 0, -sa], [-sa * sb, cb, -ca * sb], [sa * cb, sb, ca * cb]];
  }
  const dot = (row, z, at) => row[0] * z[at] + row[1] * z[at + 1] + (space.size === 3 ? row[2] * z[at + 2] : 0);
  const place = (rows, z, at) => [size / 2 + scale * dot(rows[0], z, at), size / 2 - scale * dot(rows[1], z, at)];

  function paint() {
    waiting = false;
    const rows = axes(), dark = matchMedia("(prefers-color-scheme: dark)").matches;
    context.fillStyle = dark ? "#16181c" : "#ffffff";
    context.fillRect(0, 0, size, size);
    for (let d = 0; d < 10; d++) {
      context.fillStyle = COLOURS[d];
      for (let i = 0; i < count; i++) {
        if (shared.labels[i] !== d) continue;
        const [x, y] = place(rows, points, i * space.size);
        screen[2 * i] = x;
        screen[2 * i + 1] = y;
        context.fillRect(x - 1, y - 1, 2, 2);
      }
    }
    const [x, y] = place(rows, cursor, 0);
    context.lineWidth = 4;
    for (const [style, width] of [[dark ? "#000" : "#fff", 5], [dark ? "#fff" : "#000", 2]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.beginPath();
      context.arc(x, y, 8, 0, 2 * Math.PI);
      context.moveTo(x - 14, y);
      context.lineTo(x + 14, y);
      context.moveTo(x, y - 14);
      context.lineTo(x, y + 14);
      context.stroke();
    }
    show(x, y);
  }

  function show(x, y) {
    drawImage(decoded, decode(cursor));
    let best = -1, least = Infinity;
    for (let i = 0; i < count; i++) {
      const distance = (screen[2 * i] - x) ** 2 + (screen[2 * i + 1] - y) ** 2;
      if (distance < least) [best, least] = [i, distance];
    }
    const here = "z = (" + Array.from(cursor, (v) => v.toFixed(2)).join(", ") + ")";
    const near = least < 100;
    root.dataset.nearest = near ? String(best) : "";
    const pixels = new Float32Array(784);
    if (near) for (let p = 0; p < 784; p++) pixels[p] = (shared.images[best * 98 + (p >> 3)] >> (7 - (p & 7))) & 1;
    drawImage(nearest, pixels);
    said.textContent = here + (near ? `; here lies test image ${best}, a ${shared.names[shared.labels[best]]}` : "; no test image lies here");
  }

  function soon() {
    if (!waiting) requestAnimationFrame(paint);
    waiting = true;
  }

  // Moves the cursor by pixels of the screen, in the plane that faces the eye.
  function move(dx, dy, deeper) {
    const rows = axes();
    for (let d = 0; d < space.size; d++) cursor[d] += (rows[0][d] * dx - rows[1][d] * dy + (rows[2][d] || 0) * (deeper || 0)) / scale;
    soon();
  }

  function at(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * size / box.width, (event.clientY - box.top) * size / box.height];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (space.size === 3) {
      drag = at(event);
      canvas.setPointerCapture(event.pointerId);
    }
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { drag = null; });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (drag) {
      turn = [turn[0] + (x - drag[0]) / 150, Math.max(-1.5, Math.min(1.5, turn[1] + (y - drag[1]) / 150))];
      drag = [x, y];
      soon();
      return;
    }
    const [cx, cy] = place(axes(), cursor, 0);
    move(x - cx, y - cy);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 30 : 8;
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (by) move(...by);
    else if (space.size === 3 && (event.key === "PageUp" || event.key === "PageDown")) move(0, 0, event.key === "PageUp" ? -step : step);
    else if (space.size === 3 && "aAdDwWsS".includes(event.key)) {
      const key = event.key.toLowerCase();
      turn = [turn[0] + ({ a: -0.1, d: 0.1 }[key] || 0), Math.max(-1.5, Math.min(1.5, turn[1] + ({ w: -0.1, s: 0.1 }[key] || 0)))];
      soon();
    } else return;
    event.preventDefault();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
  paint();
  return { decode, cursor, paint };
}

function start() {
  const data = JSON.parse(document.getElementById("latents").textContent);
  const shared = { labels: bytesOf(data.labels), images: bytesOf(data.images), names: data.names };
  window.explorers = data.spaces.map((space, index) =>
    makeExplorer(document.querySelector(`[data-space="${index}"]`), space, shared));
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

function offerCopies() {
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}

if (typeof module !== "undefined") module.exports = { makeDecoder };
else {
  offerCopies();
  if (document.getElementById("latents")) start();
}
