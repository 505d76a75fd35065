// Draw your own: a pad, the drawing as the run sees it, its place in the latent space and its reconstruction.

const PAD = 560; // pixels per side of the pad
const PEN = 44; // pixels: two to three in an image of 28 x 28

// `host` has state, space, images, model, move(z), soon() and follow(on).
function makeOwn(root, host) {
  const find = (name) => root.querySelector(`[data-own="${name}"]`), [pad, seen, reconstruction] = ["pad", "seen", "reconstruction"].map(find);
  const drawing = pad.getContext("2d", { willReadFrequently: true });
  const own = { now: null, draw, clear };
  let waiting = false, reduced = null; // the pad as the run's images are, before it is binarised

  [pad.width, pad.height] = [PAD, PAD];
  Object.assign(drawing, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#fff", fillStyle: "#000" });
  drawing.fillRect(0, 0, PAD, PAD);

  function grey() {
    const rgba = drawing.getImageData(0, 0, PAD, PAD).data, values = new Uint8Array(PAD * PAD);
    for (let i = 0; i < values.length; i++) values[i] = rgba[4 * i];
    return values;
  }

  makeBrush(pad, (from, to) => {
    drawing.beginPath();
    drawing.moveTo(...(from || to));
    drawing.lineTo(to[0] + 0.01, to[1]); // a line of no length would not be drawn
    drawing.stroke();
    soon();
  }, soon);

  function soon() {
    if (!waiting) requestAnimationFrame(() => { waiting = false; read(); place(true); });
    waiting = true;
  }

  function read() {
    reduced = host.space.encoder ? prepared(grey(), PAD, host.images.width, host.space.drawn) : null;
  }

  // Encodes what is drawn; z goes there if it was drawn just now.
  function place(go) {
    const { space, images, model, state } = host;
    own.now = null;
    for (const canvas of [seen, reconstruction]) [canvas.width, canvas.height] = [images.width, images.height];
    find("made").hidden = !reduced;
    find("hint").hidden = Boolean(reduced);
    find("clear").disabled = !reduced;
    if (reduced) {
      const bytes = binarized(reduced, space.drawn.binarize);
      own.now = { bytes, ...model.encode(bytes, state.label) };
      const [means, logProb] = model.meanAndLogProb(own.now.loc, state.label, bytes), given = space.classes.length ? "x | z, y" : "x | z";
      drawImage(seen, images, bytes);
      drawImage(reconstruction, images, means);
      const of = (values) => Array.from(values.slice(0, 3), number).join(", ") + (values.length > 3 ? ", \u2026" : "");
      find("words").textContent = `Its posterior: mean (${of(own.now.loc)}), standard deviation (${of(own.now.logScale.map(Math.exp))}). `
        + `At the mean, log p(${given}) = ${minus(logProb.toFixed(1))} nats.`;
      if (go) {
        host.follow(false);
        host.move(own.now.loc);
      }
    }
    host.soon();
    host.drawn(go);
  }

  // After another run or label was chosen: the same strokes, encoded anew.
  function draw() {
    root.hidden = !host.space.encoder;
    pad.classList.toggle("light", Boolean(host.space.encoder && host.space.drawn.light && !host.space.drawn.box));
    read();
    place(false);
  }

  function clear() {
    drawing.fillRect(0, 0, PAD, PAD);
    read();
    place(true);
  }

  find("clear").addEventListener("click", clear);
  return own;
}
