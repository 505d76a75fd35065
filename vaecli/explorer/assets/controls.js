// The controls beside the canvas that depend on the run, and the words.

const number = (value) => minus(value.toFixed(2));

function placeOf({ space, state, view }) {
  if (space.latents <= 3) return `z = (${Array.from(state.z, number).join(", ")})`;
  return `pc1 ${number(view.plane(state.z)[0])}, pc2 ${number(view.plane(state.z)[1])}, |z| ${number(Math.hypot(...state.z))}`;
}

function nameOf(images, i) {
  const label = images.names[images.labels[i]];
  return `test image ${images.files[i] || i}${label ? ` (${label})` : ""}`;
}

// The place as a link has it: run, z, and y and the turn where there are any.
function hashOf({ state, space, view }) {
  const short = (values) => Array.from(values, (v) => Number(v.toFixed(3))).join(",");
  return new URLSearchParams({
    run: space.run, z: short(state.z), ...(space.classes.length ? { y: state.label } : {}), ...(view.turn.some(Boolean) ? { turn: short(view.turn) } : {}),
  });
}

// The numbers in a link: `count` of them, or null.
function numbersIn(text, count) {
  const parts = (text || "").split(",");
  return parts.length === count && parts.every((part) => /^-?\d+(\.\d+)?(e-?\d+)?$/i.test(part)) ? parts.map((part) => clamp(Number(part), 1000)) : null;
}

// Says at most one text each 600 ms, and in the end the last.
function makeSpeaker(element) {
  let last = -Infinity, timer = 0;
  return (text) => {
    clearTimeout(timer);
    const speak = () => { last = performance.now(); if (element.textContent !== text) element.textContent = text; };
    timer = setTimeout(speak, Math.max(0, last + QUIET - performance.now()));
  };
}

function fillLabels(select, around, space, host) {
  around.hidden = !space.classes.length;
  select.replaceChildren(...space.classes.map((name, label) => new Option(name, label)), ...(space.unknown ? [new Option("unknown", -1)] : []));
  select.value = String(host.state.label);
}

// A button for each class: pressed while its images are shown.
function fillLegend(list, host) {
  list.parentElement.hidden = !host.images.names.length;
  const { images, state } = host, unknown = images.anyUnknown && images.names.length ? [-1] : [];
  list.replaceChildren(...[...images.names.keys(), ...unknown].map((label) => {
    const button = document.createElement("button"), swatch = document.createElement("span");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    swatch.style.background = images.colours[label] || images.unknown;
    button.append(swatch, images.names[label] || "unknown");
    button.addEventListener("click", () => {
      if (!state.hidden.delete(label)) state.hidden.add(label);
      button.setAttribute("aria-pressed", String(!state.hidden.has(label)));
      host.soon();
    });
    return button;
  }));
}

// A slider for each latent that the posteriors use.
function fillSliders(list, around, host) {
  const { space, state } = host, latents = space.active.length ? space.active : [...state.z.keys()];
  around.open = space.latents > 2;
  around.querySelector("summary").textContent = space.active.length
    ? `A slider for each latent in use (${latents.length} of ${space.latents})` : `A slider for each of ${space.latents} latents, none of which is in use`;
  const most = space.latents > 3 ? Math.ceil(Math.max(4, host.view.limit)) : host.view.limit;
  list.replaceChildren(...latents.map((d) => makeSlider(`z${d + 1}`, most, host, (value) => { state.z[d] = value; }, () => state.z[d])));
}

// A slider with its name and its value, whose show() follows what get() gives.
function makeSlider(name, most, host, set, get) {
  const label = document.createElement("label"), slider = document.createElement("input"), value = document.createElement("span");
  Object.assign(slider, { type: "range", min: -most, max: most, step: 0.01, name });
  value.className = "value";
  slider.addEventListener("input", () => {
    host.film.stop();
    host.follow(false);
    set(Number(slider.value));
    host.moved();
  });
  label.show = () => {
    if (Math.abs(slider.value - get()) > 0.006) slider.value = get();
    value.textContent = number(get());
  };
  label.append(name, slider, value);
  return label;
}

function fillDepth(around, host) {
  around.hidden = !host.view.depths;
  around.replaceChildren(...(host.view.depths ? [makeSlider("depth", host.view.limit, host,
    (value) => host.view.deepen(host.state.z, value - host.view.depth(host.state.z)), () => host.view.depth(host.state.z))] : []));
}

function showSliders(...lists) {
  for (const list of lists) for (const label of list.children) label.show();
}
