"""The explorer's page of runs in headless Chromium: how quickly and how exactly it computes their networks, and what they take.

    python -m tests.benchmarks.explorer baseline checkpoints/resnet

A decode is the fastest of many batches of 20, so that a busy machine counts little. Differences are the largest from PyTorch's, of
the means of pixels at 200 posteriors' means and 200 draws of the prior, and of the encoder's outputs for 200 images.
"""

import argparse
import json
import tempfile
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from selenium import webdriver

import vaecli
from tests.browser import BROWSER, DRIVER, FLAGS, visit
from tests.explorer.page import choose
from vaecli.explorer.page import explore
from vaecli.explorer.payload import POINTS, payload
from vaecli.seeding import generator

SECONDS, BATCH, EXAMPLES = 5, 20, 200
FASTEST = """const e = window.explorer, z = e.locOf(0), bytes = e.images.of(0), { label } = e.state;
  const once = arguments[0] ? () => e.model.mean(z, label) : () => e.model.encode(bytes, label);
  let fastest = Infinity;
  for (const end = performance.now() + 1000 * arguments[1]; performance.now() < end;) {
    const start = performance.now();
    for (let i = 0; i < arguments[2]; i++) once();
    fastest = Math.min(fastest, (performance.now() - start) / arguments[2]);
  }
  return fastest"""
MEANS = "return arguments[0].map(([z, label]) => Array.from(window.explorer.model.mean(z, label)))"
ENCODED = """return arguments[0].map(([image, label]) => {
    const { loc, logScale } = window.explorer.model.encode(window.explorer.images.of(image), label);
    return [...loc, ...logScale];
  })"""


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="folders, or names below checkpoints/")
    runs = [vaecli.load(name) for name in parser.parse_args().runs]
    images = [run.images("test")[:POINTS] for run in runs]
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    table = Table(
        "run", "page, MB", "decoder, MB, bits", "encoder, MB, bits", "decode, ms", "difference", "encode, ms", "difference"
    )
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        for flag in [*" ".join(FLAGS).split(), f"--user-data-dir={folder}/chromium"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as browser:
            for run, part in zip(runs, images, strict=True):
                page.write_text(explore([run], [part]))
                space = payload([run], [part])["spaces"][0]
                visit(browser, page)
                choose(browser, 0)
                sizes = [f"{page.stat().st_size / 1e6:.2f}", size_of(space["decoder"]), size_of(space.get("encoder"))]
                encoded = encoding(browser, run, part) if "encoder" in space else ()
                table.add_row(run.path.name, *sizes, *decoding(browser, run, part), *encoded)
    Console(width=150).print(table)


def size_of(steps: list[dict] | None) -> str:
    weights = [step["weight"] for step in steps or () if "weight" in step]
    bits = sorted({weight["bits"] for weight in weights if "bits" in weight})
    return f"{len(json.dumps(steps)) / 1e6:.2f}, {', '.join(map(str, bits)) or 16}"


def decoding(browser, run, images) -> tuple[str, str]:
    model = run.model
    labels = images.labels[:EXAMPLES].repeat(2)
    q = model.posterior(model.observe(images.pixels[:EXAMPLES], torch.Generator()), model.condition(images.labels[:EXAMPLES]))
    z = torch.cat((q.mean, model.prior.sample(EXAMPLES, generator("cpu", "benchmark"))))
    expected = model.likelihood(z, model.condition(labels)).mean
    found = browser.execute_script(MEANS, [*zip(z.tolist(), labels.tolist(), strict=True)])
    return (
        f"{browser.execute_script(FASTEST, True, SECONDS, BATCH):.2f}",
        f"{float((torch.tensor(found) - expected).abs().max()):.4f}",
    )


def encoding(browser, run, images) -> tuple[str, str]:
    labels = images.labels[:EXAMPLES]
    q = run.model.posterior(run.model.observe(images.pixels[:EXAMPLES], torch.Generator()), run.model.condition(labels))
    found = browser.execute_script(ENCODED, [*enumerate(labels.tolist())])
    difference = (torch.tensor(found) - torch.cat((q.loc, q.log_scale), 1)).abs().max()
    return f"{browser.execute_script(FASTEST, False, SECONDS, BATCH):.2f}", f"{float(difference):.4f}"


if __name__ == "__main__":
    main()
