"""``vaecli search``: grids, ranges, what it keeps, and how it goes on."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import FEW
from tests.helpers import one_line, opened
from vaecli.runs.find import read_config
from vaecli.runs.run import read_run
from vaecli.studies.worker_processes import threads_of


def ended(err):
    """The trials' lines: number, the values that varied, the bound, and the run."""
    return [line.split() for line in err.splitlines() if re.match(r" *\d+ ", line)]


def test_a_grid_over_seeds_from_its_first_trial_to_its_winner(search, tmp_path):
    outcome = search("--latent-dim", "2,3", "--seed", "0,1")
    assert outcome.code == 0, outcome.err
    table = outcome.out.splitlines()
    assert table[0].split() == ["latent", "dim", "validation", "-ELBO", "seeds", "seconds", "best", "run"]
    means = [float(line.split()[1]) for line in table[1:3]]
    assert means == sorted(means)
    assert all(re.search(r" ±\d+\.\d\d +2 ", line) for line in table[1:3])
    picture, winner = map(Path, table[3:])
    assert picture.name == "search.png"
    assert opened(picture).width > 500
    assert len(ended(outcome.err)) == 4
    assert "\x1b" not in outcome.err

    run = read_run(winner)
    assert run.config.validation == 100
    assert run.config.latent_dim == int(table[1].split()[0])
    assert "validation_elbo" in run.results
    assert not any(name.startswith("test") for name in (*run.results, *run.log[0])), "what is chosen never sees the test images"
    best = min(ended(outcome.err), key=lambda words: float(words[3]) if int(words[1]) == run.config.latent_dim else 1e9)
    assert best[-1] == winner.name
    assert len(re.findall(r"on 200 test images, measured once: -ELBO \d", outcome.err)) == 1
    assert len(list((tmp_path / "checkpoints").glob("own-*"))) == 4


def test_the_line_again_trains_nothing_and_measures_nothing(search, tmp_path, monkeypatch):
    line = ["--latent-dim", "2,3", "--by", "L_5", "--json"]
    first = search(*line)
    assert first.code == 0, first.err
    monkeypatch.setattr("vaecli.studies.trainer.train_in", lambda *arguments: pytest.fail("trained again"))
    monkeypatch.setattr("vaecli.studies.run_plan.measure", lambda *arguments, **options: pytest.fail("the test images again"))
    again = search(*line)
    assert again.code == 0, again.err
    assert json.loads(again.out) == json.loads(first.out)


def test_runs_that_are_there_are_used_whatever_they_are_called(vaecli, search, small_mnist, monkeypatch):
    named = vaecli("train", *FEW, "--latent-dim", "3", "--data-dir", small_mnist, "--name", "mine")
    assert named.code == 0, named.err
    assert "validation -ELBO" in named.err
    before = (named.path / "model.safetensors").stat().st_mtime_ns
    outcome = search("--latent-dim", "2,3", "--by", "L_3", "--json")
    assert outcome.code == 0, outcome.err
    paths = {trial["path"] for row in json.loads(outcome.out)["table"] for trial in row["trials"]}
    assert "checkpoints/mine" in paths
    assert (named.path / "model.safetensors").stat().st_mtime_ns == before


def test_a_range_is_sampled_and_goes_on_to_more_trials(search):
    line = ["--latent-dim", "2:6", "--lr", "1e-4:1e-2", "--json"]
    first = json.loads(search(*line, "--trials", "3").out)
    more = json.loads(search(*line, "--trials", "5").out)
    settings = {tuple(row["settings"].values()) for row in more["table"]}
    assert {tuple(row["settings"].values()) for row in first["table"]} <= settings
    assert len(settings) > 3
    assert sum(len(row["trials"]) for row in more["table"]) == 5
    for latents, lr in settings:
        assert 2 <= latents <= 6
        assert 1e-4 <= lr <= 1e-2
        assert float(f"{lr:.3g}") == lr
    assert first["name"] == more["name"]


def test_every_sample_is_trained_with_every_seed(search):
    outcome = json.loads(search("--lr", "1e-4:1e-2", "--seed", "3,4", "--trials", "4", "--json").out)
    assert [sorted(trial["seed"] for trial in row["trials"]) for row in outcome["table"]] == [[3, 4], [3, 4]]
    assert all(row["standard_error"] is not None for row in outcome["table"])


def test_pruning_stops_runs_that_fall_behind(vaecli, small_mnist):
    line = ["search", "--lr", "1e-2,5e-3,3e-3,2e-3,1e-3,1e-6,1e-7", "--epochs", "3", "--validation", "100", "--prune", "--json"]
    outcome = vaecli(*line, "--batch-size", "50", "--data-dir", small_mnist)
    assert outcome.code == 0, outcome.err
    table = json.loads(outcome.out)["table"]
    pruned = {row["settings"]["lr"]: row["trials"][0] for row in table if row["trials"][0]["state"] == "pruned"}
    assert pruned.keys() == {1e-6, 1e-7}
    for trial in pruned.values():
        with (Path(trial["path"]) / "loss.csv").open() as file:
            assert len(list(csv.DictReader(file))) == 1
    assert [row["trials"][0]["state"] for row in table[-2:]] == ["pruned", "pruned"]


def test_a_run_that_diverges_is_one_trial_that_failed(search):
    outcome = search("--lr", "1e-3,1e5", "--json")
    assert outcome.code == 0, outcome.err
    states = {row["settings"]["lr"]: row["trials"][0] for row in json.loads(outcome.out)["table"]}
    assert (states[1e-3]["state"], states[1e5]["state"]) == ("done", "failed")
    assert "try a smaller learning rate" in states[1e5]["error"]


@pytest.mark.system
def test_workers_share_the_trials(search, tmp_path):
    outcome = search("--latent-dim", "2,3,4", "--seed", "0,1", "--workers", "2", "--json")
    assert outcome.code == 0, outcome.err
    trials = [trial for row in json.loads(outcome.out)["table"] for trial in row["trials"]]
    assert len(trials) == len({trial["path"] for trial in trials}) == 6
    for trial in trials:
        _, made = read_config(Path(trial["path"]) / "config.json")
        assert made.threads == threads_of(2)


@pytest.mark.system
def test_a_killed_search_goes_on_where_it_was(tmp_path, small_mnist):
    words = ["--latent-dim", "2,3,4", "--epochs", "15", "--validation", "100", "--batch-size", "50", "--data-dir", str(small_mnist)]
    line = [sys.executable, "-m", "vaecli", "search", *words, "--json"]
    first = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    runs = tmp_path / "checkpoints"
    until = time.monotonic() + 60
    while len(list(runs.glob("*/loss.csv"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    first.kill()
    first.communicate()
    (half,) = [folder for folder in runs.glob("own-*") if len((folder / "loss.csv").read_text().splitlines()) <= 15]
    done = len((half / "loss.csv").read_text().splitlines()) - 1
    assert 0 < done < 15
    again = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    trials = [trial for row in json.loads(again.stdout)["table"] for trial in row["trials"]]
    assert sorted(trial["state"] for trial in trials) == ["done"] * 3
    assert max(trial["number"] for trial in trials) == 3, "one trial was lost, and done again at once"
    whole = [*line, "--out", "whole"]
    assert subprocess.run(whole, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    for folder in runs.glob("own-*"):
        assert (folder / "model.safetensors").read_bytes() == (tmp_path / "whole" / folder.name / "model.safetensors").read_bytes()


@pytest.mark.system
def test_ctrl_c_gives_the_trial_back(tmp_path, small_mnist):
    words = ["--latent-dim", "2,3", "--epochs", "200", "--validation", "100", "--data-dir", str(small_mnist), "--workers", "2"]
    line = [sys.executable, "-m", "vaecli", "search", *words]
    process = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("checkpoints/*/model.safetensors"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    last = err.splitlines()[-1]
    assert last == "vaecli: interrupted: 0 of 2 trials are done; go on with the same line again"
    assert "Traceback" not in err


@pytest.mark.system
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_workers_end_with_the_process_that_started_them(tmp_path, small_mnist):
    words = [
        "--latent-dim",
        "2,3",
        "--epochs",
        "200",
        "--validation",
        "100",
        "--data-dir",
        str(small_mnist),
        "--workers",
        "2",
        "-q",
    ]
    process = subprocess.Popen([sys.executable, "-m", "vaecli", "search", *words], cwd=tmp_path)
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("checkpoints/*/model.safetensors"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(workers) == 2
    process.kill()
    process.wait()
    until = time.monotonic() + 30
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < until, "they go on"
        time.sleep(0.1)


@pytest.mark.system
def test_ctrl_c_in_a_terminal_while_workers_start_is_one_line(tmp_path, small_mnist):
    """A terminal sends it to all processes of the line."""
    words = ["--latent-dim", "2,3", "--epochs", "200", "--validation", "100", "--data-dir", str(small_mnist), "--workers", "2"]
    line = [sys.executable, "-m", "vaecli", "search", *words]
    for pause in (0.0, 0.4, 1.2):
        process = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
        begun = [process.stderr.readline(), process.stderr.readline()]
        assert begun[1].startswith("trial "), begun
        time.sleep(pause)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        notes = [text for text in err.splitlines() if not text.startswith("vaecli: interrupted")]
        assert notes == [], err


def test_an_interruption_counts_the_trials_that_ended(search, monkeypatch):
    def broken_off(plan, workers, callbacks, read):
        callbacks.progress(1.9, 2, "two runs, almost done")
        raise KeyboardInterrupt

    monkeypatch.setattr("vaecli.studies.run_plan.run_plan", broken_off)
    assert one_line(search("--latent-dim", "2,3", "-q"), 130).startswith("vaecli: interrupted: 0 of 2 trials are done")


@pytest.mark.system
def test_paths_may_have_any_letter(search, tmp_path):
    out, name = tmp_path / "a?b", "n#%41{x} ü"
    outcome = search("--latent-dim", "2,3", "--out", out, "--name", name, "--workers", "2")
    assert outcome.code == 0, outcome.err
    assert (out / name / "study.db").is_file()
    assert [folder.name for folder in tmp_path.iterdir()] == ["a?b"]


def test_the_winner_is_known_by_its_settings_and_not_by_its_folder(search):
    line = ["--latent-dim", "2,3", "--json", "-q"]
    first = json.loads(search(*line).out)
    winner = Path(first["best"]["path"])
    (other,) = {Path(run["path"]) for run in first["runs"]} - {winner}
    winner.rename("checkpoints/renamed")
    assert json.loads(search(*line).out)["best"]["path"] == "checkpoints/renamed"
    shutil.rmtree("checkpoints/renamed")
    gone = "the winner's run is there no longer; train it again in a search of another name, such as with --name"
    assert gone in one_line(search(*line), 1)
    shutil.copytree(other, winner)
    assert gone in one_line(search(*line), 1)


def test_half_of_the_winner_is_not_taken_for_it(search, monkeypatch):
    """As on a machine that began the run which another one trained to its end."""
    line = ["--latent-dim", "2,3", "--epochs", "2", "--json", "-q"]
    first = json.loads(search(*line).out)
    log = Path(first["best"]["path"]) / "loss.csv"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))
    monkeypatch.setattr("vaecli.studies.run_plan.socket.gethostname", lambda: "another")
    assert json.loads(search(*line).out)["best"]["path"] == str(log.parent.absolute())


def test_a_run_whose_files_are_of_different_settings_is_refused(search):
    winner = json.loads(search("--latent-dim", "2,4", "--json", "-q").out)["best"]
    config = Path(winner["path"]) / "config.json"
    config.write_text(re.sub('"latent_dim": .', '"latent_dim": 3', config.read_text()))
    assert "model.safetensors is of other settings than config.json" in one_line(search("--latent-dim", "3,5", "-q"), 1)


def test_a_dry_run_lists_the_trials_and_makes_nothing(search, tmp_path):
    outcome = search("--latent-dim", "2,3", "--seed", "0,1", "--dry-run")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert [line.split()[:2] for line in lines[1:5]] == [["2", "0"], ["3", "0"], ["2", "1"], ["3", "1"]]
    assert re.fullmatch(r"4 trials, about \d+ s with 1 worker here", lines[5])
    sampled = search("--lr", "1e-4:1e-2", "--trials", "7", "--dry-run")
    assert "sampled by TPE, logarithmic" in sampled.out
    assert "7 trials" in sampled.out
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.system
def test_the_help_loads_neither_torch_nor_optuna():
    line = [sys.executable, "-X", "importtime", "-m", "vaecli", "search", "--help"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    loaded = {name.rsplit("|", 1)[-1].strip() for name in done.stderr.splitlines()}
    assert "vaecli.studies.plan" in loaded
    assert not loaded & {"torch", "optuna", "sqlalchemy", "numpy", "matplotlib"}
