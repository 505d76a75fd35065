// Paints the plane: what the decoder draws there, the points, the prior's circles, the way from A to B, and the place of z.

const TILE = 34; // pixels of the screen
const MARK = "bold 11px system-ui, sans-serif";

// A small plane, beside the tool "own" or "rub", shows what that tool found, and no images.
function makePainter(canvas, host, small = "") {
  const context = canvas.getContext("2d"), layer = document.createElement("canvas"), tiles = document.createElement("canvas"), piece = document.createElement("canvas");
  const glow = makeGlow();
  let layerKey = "", tilesKey = "", tilesDone = 0, tilesAsked = -1, ratio = 1;

  const side = () => canvas.clientWidth || 1;
  const scale = () => side() / 2 / host.view.limit;
  const screen = ([right, up]) => [side() / 2 + scale() * right, side() / 2 - scale() * up];
  const plane = (x, y) => [(x - side() / 2) / scale(), (side() / 2 - y) / scale()];

  function fit(target) {
    const width = Math.round(side() * ratio);
    if (target.width !== width || target.height !== width) [target.width, target.height] = [width, width];
    const drawing = target.getContext("2d");
    drawing.setTransform(ratio, 0, 0, ratio, 0, 0);
    return drawing;
  }

  function colours() {
    const style = getComputedStyle(canvas);
    return { ink: style.getPropertyValue("--ink").trim() || "#000", paper: style.getPropertyValue("--paper").trim() || "#fff" };
  }

  // The points and the circles, painted anew only when they change.
  function paintLayer() {
    const { state, view, images } = host, { ink, paper } = colours();
    const key = [state.run, side(), ratio, view.turn, [...state.hidden], state.circles, state.backdrop, ink].join(" ");
    if (key === layerKey) return;
    layerKey = key;
    const drawing = fit(layer);
    drawing.clearRect(0, 0, side(), side());
    const dot = small ? 1.5 : (images.labels.length > 3000 ? 2 : 3) + (state.backdrop ? 1 : 0);
    drawing.globalAlpha = 0.9;
    for (let i = 0; i < images.labels.length && small !== "rub"; i++) {
      if (state.hidden.has(images.labels[i])) continue;
      const [x, y] = screen(view.point(i));
      drawing.fillStyle = images.colours[images.labels[i]] || images.unknown;
      drawing.fillRect(x - dot / 2, y - dot / 2, dot, dot);
    }
    drawing.globalAlpha = 1;
    if (state.circles && host.space.standardNormal) paintCircles(drawing, ink, paper);
    if (state.circles && host.space.contours) paintContours(drawing, ink, paper);
  }

  function dashed(drawing, ink, paper, draw) {
    for (const [style, width] of [[paper, 4], [ink, 1.25]]) {
      [drawing.strokeStyle, drawing.lineWidth] = [style, width];
      drawing.setLineDash(width < 2 ? [5, 4] : []);
      drawing.beginPath();
      draw();
      drawing.stroke();
    }
  }

  function paintContours(drawing, ink, paper) {
    for (const line of host.space.contours.flat()) dashed(drawing, ink, paper, () => line.forEach((z) => drawing.lineTo(...screen(z))));
  }

  function paintCircles(drawing, ink, paper) {
    drawing.font = "12px system-ui, sans-serif";
    drawing.textAlign = "center";
    for (const sigmas of [1, 2, 3]) {
      dashed(drawing, ink, paper, () => {
        if (host.space.latents > 1) drawing.arc(side() / 2, side() / 2, sigmas * scale(), 0, 2 * Math.PI);
        else for (const x of [-1, 1].map((sign) => side() / 2 + sign * sigmas * scale())) { drawing.moveTo(x, 0); drawing.lineTo(x, side()); }
      });
      if (small) continue;
      const place = host.space.latents > 1 ? [side() / 2, side() / 2 - sigmas * scale() + 4] : [side() / 2 + sigmas * scale(), 14];
      drawing.setLineDash([]);
      [drawing.strokeStyle, drawing.lineWidth, drawing.fillStyle] = [paper, 4, ink];
      drawing.strokeText(`${sigmas}σ`, ...place);
      drawing.fillText(`${sigmas}σ`, ...place);
    }
  }

  // What the decoder draws in each cell, as the decoder beside the page gets to it.
  function paintTiles() {
    const { state, view, images, space } = host, across = Math.max(4, Math.floor(side() / TILE));
    const down = space.latents > 1 ? across : 1;
    const rest = Float32Array.from(state.z);
    view.moveTo(rest, 0, 0);
    const key = [state.run, state.label, view.turn, across, Array.from(rest, (v) => Math.round(100 * v) || 0)].join(" ");
    if (key !== tilesKey) {
      [tilesKey, tilesDone, tilesAsked] = [key, 0, -1];
      [tiles.width, tiles.height] = [across * images.width, down * images.height];
      [piece.width, piece.height] = [images.width, images.height];
    }
    const total = across * down;
    if (tilesAsked < tilesDone && tilesDone < total) askTile();
    context.imageSmoothingEnabled = false;
    const height = side() / across * down;
    context.drawImage(tiles, 0, (side() - height) / 2, side(), height);
    canvas.dataset.tiles = String(tilesDone / total);

    function askTile() {
      const cell = (tilesDone * 7919) % total, column = cell % across, row = Math.floor(cell / across), z = Float32Array.from(rest);
      view.moveTo(z, ((column + 0.5) / across * 2 - 1) * view.limit, (1 - (row + 0.5) / down * 2) * view.limit);
      tilesAsked = tilesDone;
      host.beside.ask("tile", { space, images, z, label: state.label }, (means) => {
        if (tilesKey !== key) return;
        drawImage(piece, images, means);
        tiles.getContext("2d").drawImage(piece, column * images.width, row * images.height);
        tilesDone++;
        host.soon();
        if (state.backdrop && tilesDone < total) askTile();
      });
    }
  }

  function outlined(draw, ink, paper, width = 2) {
    for (const [style, wide] of [[paper, width + 3], [ink, width]]) {
      [context.strokeStyle, context.lineWidth] = [style, wide];
      context.beginPath();
      draw();
      context.stroke();
    }
  }

  function paint(nearest, path) {
    ratio = window.devicePixelRatio || 1;
    fit(canvas);
    const { state, view } = host, { ink, paper } = colours();
    context.fillStyle = paper;
    context.fillRect(0, 0, side(), side());
    if (state.backdrop && !small) paintTiles();
    const rubbed = small === "own" ? null : host.rub.shown;
    if (rubbed) glow(context, rubbed, { screen });
    paintLayer();
    context.globalAlpha = host.rub.open && small !== "own" ? 0.3 : 1; // the points step back
    context.drawImage(layer, 0, 0, side(), side());
    context.globalAlpha = 1;
    if (small === "rub") {
      if (rubbed) paintWord(context, "\u2715", screen(view.plane(rubbed.mode)), ink, paper, MARK);
      return;
    }
    if (path.length) outlined(() => path.forEach((z) => context.lineTo(...screen(view.plane(z)))), ink, paper, 1.5);
    const ellipse = ([x, y], [long, short, angle]) =>
      outlined(() => context.ellipse(x, y, long * scale(), Math.max(1, short * scale()), -angle, 0, 2 * Math.PI), ink, paper, 1.5);
    if (nearest >= 0 && !small) ellipse(screen(view.point(nearest)), view.ellipse(nearest));
    const { now } = host.own;
    if (now) {
      const [x, y] = screen(view.plane(now.loc)), shape = view.ellipse(-1, now.logScale);
      ellipse([x, y], shape);
      if (small) {
        paintWord(context, "\u2715", [x, y], ink, paper, MARK);
        return;
      }
      paintWord(context, "yours", [x, Math.max(14, y - 22)], ink, paper);
    }
    if (rubbed) {
      host.rub.fills.forEach((z, k) => paintWord(context, String(k + 1), screen(view.plane(z)), ink, paper, MARK));
      paintWord(context, "\u2715", screen(view.plane(rubbed.mode)), ink, paper, "bold 15px system-ui, sans-serif");
    }
    const [x, y] = screen(view.plane(state.z));
    outlined(() => {
      context.arc(x, y, 8, 0, 2 * Math.PI);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 4 * dx, y + 4 * dy);
        context.lineTo(x + 14 * dx, y + 14 * dy);
      }
    }, ink, paper);
    for (const [name, z] of Object.entries(state.ends)) {
      if (z) paintWord(context, name.toUpperCase(), screen(view.plane(z)), ink, paper, "bold 15px system-ui, sans-serif");
    }
  }

  return { paint, screen, plane, scale, canvas };
}
