// Strokes on a canvas by mouse, finger or pen.

// Calls stroke(from, to) in the canvas's own pixels, from null at a stroke's beginning, and done() at its end.
function makeBrush(canvas, stroke, done) {
  const last = new Map();

  function at(event) {
    const box = canvas.getBoundingClientRect(), [left, top] = [box.left + canvas.clientLeft, box.top + canvas.clientTop];
    return [(event.clientX - left) * canvas.width / canvas.clientWidth, (event.clientY - top) * canvas.height / canvas.clientHeight];
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    last.set(event.pointerId, at(event));
    stroke(null, at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last.has(event.pointerId)) return;
    const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const part of events.length ? events : [event]) {
      stroke(last.get(event.pointerId), at(part));
      last.set(event.pointerId, at(part));
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => { if (last.delete(event.pointerId)) done(); });
  }
}
