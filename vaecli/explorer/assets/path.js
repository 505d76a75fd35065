// The path from A to B through the latent space, as `vaecli sample --between` goes.

function straight(a, b, t) {
  return a.map((value, d) => (1 - t) * value + t * b[d]);
}

// Directions along the great circle, lengths linearly; straight where there is no single great circle.
function spherical(a, b, t) {
  const [la, lb] = [Math.hypot(...a), Math.hypot(...b)];
  const u = a.map((value) => value / la), v = b.map((value) => value / lb);
  const angle = 2 * Math.atan2(Math.hypot(...u.map((value, d) => value - v[d])), Math.hypot(...u.map((value, d) => value + v[d])));
  if (!(angle > 1e-6 && angle < Math.PI - 1e-6)) return straight(a, b, t);
  const length = ((1 - t) * la + t * lb) / Math.sin(angle);
  return u.map((value, d) => length * (Math.sin((1 - t) * angle) * value + Math.sin(t * angle) * v[d]));
}

const WAYS = { straight, spherical };
const FRAMES = 9;

// Wires the buttons and the strip; `host` has state, model, images and move(z).
function makeFilm(root, host) {
  const find = (name) => root.querySelector(`[data-film="${name}"]`);
  const [share, play, strip, way] = ["share", "play", "strip", "way"].map(find);
  let playing = 0, placing = null;

  const ends = () => host.state.ends.a && host.state.ends.b;
  const at = (t) => Float32Array.from(WAYS[way.value](Array.from(host.state.ends.a), Array.from(host.state.ends.b), t));

  function draw() {
    stop();
    share.disabled = play.disabled = !ends();
    for (const end of ["a", "b"]) {
      find(end).classList.toggle("set", Boolean(host.state.ends[end]));
      find(end).setAttribute("aria-pressed", String(placing === end));
    }
    strip.hidden = !ends();
    root.querySelector(".film-hint").textContent = placing
      ? `Now click the place of ${placing.toUpperCase()} in the plane, or press the space bar there.` : ends() ? "" : "Press A or B, then click its place in the plane.";
    host.soon();
    if (!ends()) return;
    const { images } = host;
    [strip.width, strip.height] = [FRAMES * images.width, images.height];
    for (let f = 0; f < FRAMES; f++) drawImage(strip, images, host.model.mean(at(f / (FRAMES - 1)), host.state.label), f * images.width);
  }

  function stop() {
    cancelAnimationFrame(playing);
    playing = 0;
    play.textContent = "Play";
  }

  function start() {
    const from = performance.now() - 4000 * (share.value < 1 ? Number(share.value) : 0);
    play.textContent = "Stop";
    const step = (now) => {
      share.value = Math.min(1, (now - from) / 4000);
      host.move(at(Number(share.value)));
      playing = share.value < 1 ? requestAnimationFrame(step) : (stop(), 0);
    };
    playing = requestAnimationFrame(step);
  }

  function set(end) {
    host.state.ends[end] = host.state.z.slice();
    share.value = end === "a" ? 0 : 1;
    draw();
  }

  // The next click in the plane sets this end; of A, if there is no B yet, the one after it sets B.
  function place(end) {
    placing = end;
    draw();
    host.painter.canvas.scrollIntoView({ block: "nearest" });
  }

  // A person stays at z.
  function arrived() {
    if (!placing) return;
    const end = placing;
    placing = end === "a" && !host.state.ends.b ? "b" : null;
    set(end);
  }

  for (const end of ["a", "b"]) find(end).addEventListener("click", () => place(end));
  way.addEventListener("change", draw);
  share.addEventListener("input", () => {
    stop();
    host.move(at(Number(share.value)));
  });
  play.addEventListener("click", () => (playing ? stop() : start()));
  strip.addEventListener("click", (event) => {
    const box = strip.getBoundingClientRect();
    share.value = Math.min(FRAMES - 1, Math.floor(FRAMES * (event.clientX - box.left) / box.width)) / (FRAMES - 1);
    share.dispatchEvent(new Event("input"));
  });
  return { draw, set, stop, arrived, path: () => ends() ? Array.from({ length: 33 }, (_, i) => at(i / 32)) : [] };
}
