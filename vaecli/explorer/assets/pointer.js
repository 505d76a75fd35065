// Pointer, touch, wheel and keys on the canvas. One finger or the pointer moves z, two fingers turn.

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

  // The point that a click means: of those it touches, the one nearest to z.
  function snap(place) {
    const touched = (i) => host.shown(i) && Math.hypot(...painter.screen(host.view.point(i)).map((v, k) => v - place[k])) <= NEAR;
    const [image] = host.view.nearest(host.state.z, touched);
    if (image >= 0) host.goTo(image);
  }

  canvas.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, at(event));
    canvas.setPointerCapture(event.pointerId);
    pressed = fingers.size === 1 ? { from: at(event), moved: false } : null;
    if (fingers.size === 1 && !event.shiftKey) moveTo(at(event));
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
    if (pressed && !pressed.moved && !event.shiftKey) {
      host.follow(false);
      snap(at(event));
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      pressed = null;
    });
  }
  canvas.addEventListener("wheel", (event) => {
    if (!host.view.depths || document.activeElement !== canvas) return; // else the page scrolls
    event.preventDefault();
    host.view.deepen(host.state.z, -event.deltaY / 400);
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
    else if (event.key === "Enter") host.goTo(host.view.nearest(host.state.z, host.shown)[0]);
    else return;
    event.preventDefault();
    host.film.stop();
    host.follow(false);
    host.moved();
  });
}
