// Pointer, touch, wheel and keys on the canvas. One finger or the pointer moves z, two fingers turn; a click stays, or places A or B.

const NEAR = 14; // pixels within which a click snaps to a point

function makePointer(canvas, host) {
  const { painter } = host, fingers = new Map();
  let pressed = null;

  function at(event) {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left - canvas.clientLeft, event.clientY - box.top - canvas.clientTop];
  }

  function moveTo(place) {
    host.film.stop();
    host.view.moveTo(host.state.z, ...painter.plane(...place));
    host.moved();
  }

  function turn(dx, dy) {
    const [a, b] = host.view.turn;
    host.view.turnTo(a + dx / 150, b + dy / 150);
    host.moved();
  }

  // The point that a click means: the one nearest to it on the screen, which two latents have nearest in z too.
  function snap(place) {
    let [best, least] = [-1, NEAR];
    for (let i = 0; i < host.images.labels.length; i++) {
      if (!host.shown(i)) continue;
      const [x, y] = painter.screen(host.view.point(i)), away = Math.hypot(x - place[0], y - place[1]);
      if (away <= least) [best, least] = [i, away];
    }
    host.goTo(best);
  }

  // A finger moves z once it moves or leaves, since a second one may come, which turns.
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    fingers.set(event.pointerId, at(event));
    canvas.setPointerCapture(event.pointerId);
    pressed = fingers.size === 1 ? { from: at(event), moved: false } : null;
    if (pressed && !event.shiftKey && event.pointerType !== "touch") moveTo(at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const place = at(event), before = fingers.get(event.pointerId);
    if (!before) {
      if (host.state.follow && event.pointerType === "mouse") moveTo(place);
      return;
    }
    fingers.set(event.pointerId, place);
    if (pressed && Math.hypot(place[0] - pressed.from[0], place[1] - pressed.from[1]) > 4) pressed.moved = true;
    if (fingers.size > 1 || event.shiftKey) turn((place[0] - before[0]) / fingers.size, (place[1] - before[1]) / fingers.size);
    else if (pressed && pressed.moved) moveTo(place);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!pressed || event.shiftKey) return;
    host.follow(false);
    if (pressed.moved) return;
    moveTo(at(event));
    snap(at(event));
    host.film.arrived();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      pressed = null;
    });
  }
  canvas.addEventListener("wheel", (event) => {
    if (!host.view.depths || document.activeElement !== canvas) return; // else the page scrolls
    if (!host.view.deepen(host.state.z, -event.deltaY / 400)) return;
    event.preventDefault();
    host.moved();
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = (event.shiftKey ? 30 : 8) / painter.scale(), [right, up] = host.view.plane(host.state.z);
    const arrow = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    const turned = { a: [-15, 0], d: [15, 0], w: [0, -15], s: [0, 15] }[event.key.toLowerCase()];
    if (arrow) host.view.moveTo(host.state.z, right + arrow[0], up + arrow[1]);
    else if (event.key === "PageUp" || event.key === "PageDown") host.view.deepen(host.state.z, event.key === "PageUp" ? -step : step);
    else if (turned) turn(...turned);
    else if (event.key === "Home") host.home();
    else if (event.key === "Enter") host.goTo(host.nearest());
    else if (event.key === " ") host.film.arrived();
    else return;
    event.preventDefault();
    host.film.stop();
    host.follow(false);
    host.moved();
  });
}
