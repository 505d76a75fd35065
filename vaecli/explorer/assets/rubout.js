// Rub out a part of an image: the mask, p(z | what is left) on the map, and images drawn from it.

const FILLS = 4;
const MANY = 48; // draws whose mean is shown
const WORK = 12; // milliseconds of a frame

// Numbers in [0, 1) that are the same each time for the same seed.
function randomFrom(seed) {
  let state = seed * 2654435761 >>> 0;
  return () => {
    state = state + 0x6D2B79F5 >>> 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}

// `host` has state, space, images, model, own, pick(label) and soon().
function makeRub(root, host) {
  const find = (name) => root.querySelector(`[data-rub="${name}"]`), canvas = find("canvas"), density = makeDensity();
  const rub = { density, draw, take, drawn: redrawn, gone: () => gone, fills: [], get shown() { return root.open && !root.hidden ? density.found : null; }, get open() { return root.open && !root.hidden; } };
  const figures = Array.from(root.querySelectorAll("[data-fill]"));
  let subject = null, gone = new Uint8Array(0), images = null, working = 0, seed = 1;

  const eraser = makeEraser(canvas, rubAt);

  // Takes a test image, or the drawing for -1; nothing is rubbed out of it yet.
  function take(image) {
    gone = new Uint8Array(host.images.height * host.images.width);
    if (image >= 0 && host.space.classes.length) host.pick(host.images.labels[image]);
    hold(image);
  }

  function hold(image) {
    const { space, own } = host;
    images = host.images;
    subject = image < 0 ? { image, bytes: own.now.bytes, near: own.now.loc, name: "Your drawing" }
      : { image, bytes: images.of(image), near: space.loc.slice(2 * image, 2 * image + 2), name: nameOf(images, image).replace(/^t/, "T") };
    if (!rub.open) return;
    density.begin(host, subject.bytes, subject.near, seenValues());
    changed();
  }

  const seenValues = () => Float32Array.from({ length: images.size }, (_, i) => 1 - gone[i % gone.length]);

  // After another run, another label or another drawing: the same image as far as there is one.
  function draw() {
    root.hidden = host.space.latents !== 2 || !host.space.standardNormal;
    find("own").disabled = !(host.own && host.own.now);
    if (!rub.open) return end();
    const kept = images === host.images && subject && (subject.image >= 0 || host.own.now);
    if (kept) hold(subject.image);
    else take(Math.max(0, host.nearest()));
  }

  // After a stroke: the drawing as it is now, if that is the image.
  function redrawn() {
    find("own").disabled = !host.own.now;
    if (rub.open && subject && subject.image < 0) draw();
  }

  function end() {
    cancelAnimationFrame(working);
    working = 0;
    density.end();
    subject = null;
    host.soon();
  }

  function changed() {
    if (!subject) return;
    density.mask(seenValues());
    eraser.paint(images, subject.bytes, gone);
    find("back").disabled = !gone.some(Boolean);
    if (!working) working = requestAnimationFrame(work);
  }

  function work() {
    const share = density.step(performance.now() + WORK);
    working = density.found ? 0 : requestAnimationFrame(work);
    root.dataset.share = String(share);
    find("progress").textContent = `p(z | what is left)${density.found ? "" : `, ${Math.floor(100 * share)} % computed`}`;
    if (density.found) fill();
    host.soon();
  }

  function rubAt([x, y], radius, back) {
    const { width, height } = images;
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        if (Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius) gone[row * width + column] = back ? 0 : 1;
      }
    }
    changed();
  }

  function half(name) {
    const { width, height } = images, [middle, across] = [Math.floor(height / 2), Math.floor(width / 2)];
    const inside = { top: (x, y) => y < middle, bottom: (x, y) => y >= middle, left: (x) => x < across, right: (x) => x >= across }[name];
    for (let i = 0; i < gone.length; i++) if (inside(i % width, Math.floor(i / width))) gone[i] = 1;
    changed();
  }

  // Where pixels are rubbed out, the mean of p(x | z) for latents drawn from the posterior; the rest as it is.
  function fill() {
    const { model, state } = host, { leaves, logSeen, mode } = density.found, random = randomFrom(seed);
    const kept = (means) => Float32Array.from(subject.bytes, (byte, i) => gone[i % gone.length] ? means[i] : byte / 255);
    rub.fills = Array.from({ length: FILLS }, () => drawn(leaves, random));
    const pictures = rub.fills.map((z) => model.mean(z, state.label)), mean = new Float32Array(images.size);
    for (let k = 0; k < MANY; k++) model.mean(drawn(leaves, random), state.label).forEach((value, i) => { mean[i] += value / MANY; });
    figures.forEach((figure, k) => {
      [figure.width, figure.height] = [images.width, images.height];
      drawImage(figure, images, kept(k < FILLS ? pictures[k] : mean));
    });
    const out = gone.reduce((sum, v) => sum + v, 0), given = host.space.classes.length && state.label >= 0 ? " | y" : "";
    find("words").textContent = `${subject.name}, ${Math.round(100 * out / gone.length)} % rubbed out. log p(what is left${given}) = ${minus(logSeen.toFixed(1))} nats`
      + `${host.space.discrete ? "" : " (a density)"}. The likeliest z is (${mode.map(number).join(", ")}).`;
  }

  root.addEventListener("toggle", draw);
  for (const name of ["top", "bottom", "left", "right"]) find(name).addEventListener("click", () => half(name));
  find("back").addEventListener("click", () => { gone.fill(0); changed(); });
  find("nearest").addEventListener("click", () => take(host.nearest()));
  find("own").addEventListener("click", () => take(-1));
  find("again").addEventListener("click", () => { seed++; if (density.found) fill(); host.soon(); });
  return rub;
}
