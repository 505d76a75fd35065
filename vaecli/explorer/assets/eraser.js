// The canvas of an image out of which pixels are rubbed, by pointer, finger or keys.

// Calls rub(place, radius, back) in the image's own pixels.
function makeEraser(canvas, rub) {
  const context = canvas.getContext("2d"), plain = document.createElement("canvas"), putBack = canvas.parentElement.querySelector('[data-rub="put"]');
  let enlarged = 1, image = null, at = [0, 0], focused = false;

  const radius = () => image.images.width * 0.09;
  const back = () => putBack.getAttribute("aria-pressed") === "true";

  makeBrush(canvas, (from, to) => {
    const [start, end] = [from || to, to].map((place) => place.map((v) => v / enlarged)), steps = Math.ceil(Math.hypot(end[0] - start[0], end[1] - start[1])) || 1;
    for (let k = from ? 1 : steps; k <= steps; k++) rub(start.map((v, d) => v + (end[d] - v) * k / steps), radius(), back());
    at = end;
  }, () => {});

  function paint(images, bytes, gone) {
    image = { images, bytes, gone };
    const { width, height } = images;
    enlarged = Math.ceil(280 / width);
    if (canvas.width !== width * enlarged || canvas.height !== height * enlarged) {
      [plain.width, plain.height, canvas.width, canvas.height] = [width, height, width * enlarged, height * enlarged];
      at = [width / 2, height / 2];
    }
    drawImage(plain, images, bytes);
    context.imageSmoothingEnabled = false;
    context.drawImage(plain, 0, 0, canvas.width, canvas.height);
    const half = enlarged / 2;
    for (let i = 0; i < gone.length; i++) {
      if (!gone[i]) continue;
      const [x, y] = [i % width * enlarged, Math.floor(i / width) * enlarged];
      context.fillStyle = "#8d939c";
      context.fillRect(x, y, enlarged, enlarged);
      context.fillStyle = "#b9bec6";
      context.fillRect(x, y, half, half);
      context.fillRect(x + half, y + half, half, half);
    }
    if (focused) ring();
  }

  function ring() {
    for (const [style, width] of [["#fff", 5], ["#0b5cad", 2]]) {
      [context.strokeStyle, context.lineWidth] = [style, width];
      context.beginPath();
      context.arc(at[0] * enlarged, at[1] * enlarged, radius() * enlarged, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  const again = () => image && paint(image.images, image.bytes, image.gone);

  canvas.addEventListener("keydown", (event) => {
    if (!image || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 4 : 1, { width, height } = image.images;
    const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (move) at = [Math.max(0, Math.min(width, at[0] + move[0])), Math.max(0, Math.min(height, at[1] + move[1]))];
    else if (event.key === " " || event.key === "Enter") rub(at, radius(), back());
    else return;
    event.preventDefault();
    again();
  });
  canvas.addEventListener("focus", () => { focused = canvas.matches(":focus-visible"); again(); });
  canvas.addEventListener("blur", () => { focused = false; again(); });
  putBack.addEventListener("click", () => putBack.setAttribute("aria-pressed", String(!back())));
  return { paint };
}
