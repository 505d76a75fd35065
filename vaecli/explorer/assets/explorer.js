// The explorer: its state, what it shows of it, and the controls beside the canvas.

const QUIET = 600; // milliseconds between two announcements

async function makeExplorer(root, data) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`), canvas = part("space");
  const sets = await Promise.all(data.images.map(readImages));
  const state = { run: -1, z: new Float32Array(0), label: -1, ends: { a: null, b: null }, hidden: new Set(), follow: true, circles: true, backdrop: false };
  const host = { state, soon, moved, home, follow, goTo, pick, shown: (i) => !state.hidden.has(host.images.labels[i]), move, locOf };
  let waiting = false, linked = 0;
  host.beside = makeBeside();
  const pictures = makePictures(part, host);
  host.painter = makePainter(canvas, host);
  host.film = makeFilm(root, host);
  host.nearest = () => host.view.nearest(state.z, host.shown)[0];
  host.drawn = (anew) => anew && host.rub.drawn();
  host.own = makeOwn(part("own"), host);
  host.rub = makeRub(part("rub"), host);
  const beside = [["own", () => host.own.now && part("own").open], ["rub", () => host.rub.open]]
    .map(([tool, shown]) => ({ painter: makePainter(part(`${tool}-plane`), host, tool), shown }));

  function choose(index) {
    const space = data.spaces[index];
    if (typeof space.loc === "string") Object.assign(space, { loc: floatsOf(space.loc), logScale: halvesOf(space.logScale) });
    const images = sets[space.images];
    Object.assign(state, { run: index, z: new Float32Array(space.latents), label: space.classes.length ? 0 : -1, ends: { a: null, b: null }, hidden: new Set() });
    Object.assign(host, { space, images, view: makeView(space), model: space.model || (space.model = makeModel(space, images)) });
    pictures.begin();
    const enlarged = `${images.width * Math.max(1, Math.ceil(224 / images.width))}px`;
    root.style.setProperty("--picture", enlarged);
    root.style.setProperty("--shape", `${images.width} / ${images.height}`);
    part("turns").hidden = !host.view.depths;
    part("circles").parentElement.hidden = !space.standardNormal && !space.contours;
    part("circles-words").textContent = space.contours ? "where 39, 86 and 99 % of the prior are" : "the prior's 1, 2 and 3 sigma";
    part("plane").textContent = (space.latents > 2
      ? `The plane of the first two of ${space.latents} principal components, ${Math.round(100 * (space.shares[0] + space.shares[1]))} % of the variance.` : "")
      + (space.standardNormal ? "" : ` The prior, ${space.prior}, is not a standard normal: ${space.contours ? "" : "it has no circles here, and "}nothing can be rubbed out.`);
    fillLabels(part("label"), part("labels"), space, host);
    fillLegend(part("legend"), host);
    fillSliders(part("sliders"), part("latents"), host);
    fillDepth(part("depth"), host);
    part("run").value = String(index);
    relabelled();
    soon();
  }

  // What depends on the run and the label.
  function relabelled() {
    host.film.draw();
    host.own.draw();
    host.rub.draw();
  }

  function pick(label) {
    if (state.label === label) return;
    state.label = label;
    part("label").value = String(label);
    relabelled();
  }

  function paint() {
    waiting = false;
    const { images, view } = host, [nearest, distance] = view.nearest(state.z, host.shown);
    host.painter.paint(nearest, host.film.path());
    for (const { painter, shown } of beside) if (shown()) painter.paint(nearest, host.film.path());
    const here = placeOf(host), there = nearest < 0 ? "no image is shown" : `${nameOf(images, nearest)}, ${distance.toFixed(2)} away`;
    part("place").textContent = here;
    part("nearest").textContent = nearest < 0 ? there : `nearest in z: ${there}`;
    root.dataset.nearest = String(nearest);
    root.dataset.frames = String(Number(root.dataset.frames || 0) + 1);
    showSliders(part("sliders"), part("depth"));
    say(`${here}; ${there}`);
    pictures.show(nearest);
  }

  function locOf(i) {
    return host.space.loc.slice(i * host.space.latents, (i + 1) * host.space.latents);
  }

  const say = makeSpeaker(part("said"));

  function soon() {
    if (!waiting) requestAnimationFrame(paint);
    waiting = true;
  }

  // After a person moved: the link to this place follows.
  function moved() {
    host.view.keepInside(state.z);
    soon();
    clearTimeout(linked);
    linked = setTimeout(() => history.replaceState(null, "", `#${hashOf(host)}`), 250);
  }

  function move(z) {
    state.z.set(z);
    moved();
  }

  function home() {
    state.z.fill(0);
    host.view.turnTo(0, 0);
    moved();
  }

  function follow(on) {
    state.follow = part("follow").checked = on;
  }

  // To an image's place, and to its label where the model has labels.
  function goTo(image) {
    if (image < 0) return;
    if (host.rub.open) host.rub.take(image);
    if (host.space.classes.length) pick(host.images.labels[image]);
    move(locOf(image));
  }

  function open(hash) {
    const asked = new URLSearchParams(hash.slice(1)), run = asked.get("run"), index = data.spaces.findIndex((space) => space.run === run);
    if (run === null && state.run >= 0) return;
    choose(Math.max(0, index));
    part("notice").hidden = run === null || index >= 0;
    part("notice").textContent = `This page has no run ${run}, which the link asks for.`;
    const z = index < 0 ? null : numbersIn(asked.get("z"), host.space.latents), label = numbersIn(asked.get("y"), 1), turn = numbersIn(asked.get("turn"), 2);
    if (!z) return;
    if (turn) host.view.turnTo(...turn);
    if (label && Number.isInteger(label[0]) && label[0] >= (host.space.unknown ? -1 : 0) && label[0] < host.space.classes.length) pick(label[0]);
    state.z.set(z);
    host.view.keepInside(state.z);
    follow(false);
  }

  part("run").append(...data.spaces.map((space, index) => new Option(`${space.run} (${space.latents} latent${space.latents > 1 ? "s" : ""})`, index)));
  part("run").addEventListener("change", (event) => { choose(Number(event.target.value)); moved(); });
  part("label").addEventListener("change", (event) => { pick(Number(event.target.value)); moved(); });
  for (const name of ["follow", "circles", "backdrop"]) part(name).addEventListener("change", (event) => { state[name] = event.target.checked; soon(); });
  part("own").addEventListener("toggle", soon);
  part("home").addEventListener("click", () => { home(); follow(false); });
  addEventListener("hashchange", () => open(location.hash));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
  matchMedia("print").addEventListener("change", paint); // at once: paper is white
  new ResizeObserver(soon).observe(canvas);
  makePointer(canvas, host);
  open(location.hash);
  root.hidden = false;
  return host;
}

if (SOURCE) addEventListener("DOMContentLoaded", async () => {
  const data = document.getElementById("latents");
  if (data) window.explorer = await makeExplorer(document.querySelector("[data-explorer]"), JSON.parse(data.textContent));
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
});
