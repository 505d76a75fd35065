// Decoding in a worker beside the page, so that the plane keeps up with the pointer however long it takes.

const SOURCE = typeof document === "undefined" ? "" : document.currentScript.textContent;
const ORDER = ["picture", "reconstruction", "tile"]; // what is decoded first

// [means, log p(bytes | z)], or [means] where there are no bytes.
const decodedBy = (model, { z, label, bytes }) => bytes ? model.meanAndLogProb(z, label, bytes) : [model.mean(z, label)];

function makeBeside() {
  const waiting = new Map(); // by what it is for; a newer place replaces one that still waits
  let running = null, send = (job) => { // what is never asked for starts no worker
    send = inWorker();
    send(job);
  };

  function next() {
    const name = ORDER.find((one) => waiting.has(one));
    if (running || !name) return;
    running = waiting.get(name);
    waiting.delete(name);
    send(running);
  }

  function answered(answer) {
    const { then } = running;
    running = null;
    then(...answer);
    next();
  }

  // A browser may refuse workers: then between frames, half of whose time is left to the plane.
  function inWorker() {
    let pause = 0, worker = null, known = null;
    const here = (job) => setTimeout(() => {
      const start = performance.now(), answer = decodedBy(job.space.model, job);
      pause = performance.now() - start;
      answered(answer);
    }, pause);
    const there = ({ space, images, z, label, bytes }) => {
      const { decoder, latents, likelihood, classes } = space, { size } = images;
      if (known !== space) worker.postMessage({ space: { decoder, latents, likelihood, classes }, images: { size } });
      known = space;
      worker.postMessage({ z, label, bytes });
    };
    try {
      worker = new Worker(URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" })));
    } catch {
      return here;
    }
    worker.onmessage = ({ data }) => answered(data);
    worker.onerror = () => {
      worker.onerror = null;
      send = here;
      if (running) send(running);
    };
    return there;
  }

  return {
    // Decodes z for one of ORDER, and calls then(means, logProb), unless another place was asked for meanwhile.
    ask(name, job, then) {
      waiting.set(name, { ...job, then });
      next();
    },
    get busy() { return Boolean(running); },
  };
}

// This script in the worker.
if (!SOURCE) {
  let model = null;
  addEventListener("message", ({ data }) => {
    if (data.space) model = makeModel(data.space, data.images);
    else postMessage(decodedBy(model, data));
  });
}
