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

const hashOf = (state, run) => new URLSearchParams({
  run, z: Array.from(state.z, (v) => Number(v.toFixed(3))).join(","), ...(state.label >= 0 ? { y: state.label } : {}),
});

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
  select.replaceChildren(...space.classes.map((name, label) => new Option(name, label)), new Option("unknown", -1));
  select.value = String(host.state.label);
}

// A button for each class: pressed while its images are shown.
function fillLegend(list, host) {
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
  const most = Math.ceil(Math.max(4, host.view.limit));
  list.replaceChildren(...latents.map((d) => {
    const label = document.createElement("label"), slider = document.createElement("input"), output = document.createElement("output");
    Object.assign(slider, { type: "range", min: -most, max: most, step: 0.01 });
    slider.dataset.latent = d;
    slider.addEventListener("input", () => {
      host.film.stop();
      host.follow(false);
      state.z[d] = Number(slider.value);
      host.moved();
    });
    label.append(`z${d + 1}`, slider, output);
    return label;
  }));
}

function showSliders(list, z) {
  for (const slider of list.querySelectorAll("input")) {
    const value = z[slider.dataset.latent];
    if (Math.abs(slider.value - value) > 0.006) slider.value = value;
    slider.nextElementSibling.textContent = number(value);
  }
}
