"""Processes of other launchers, which would all take themselves for the only one."""

import pytest

from vaecli.config import Config
from vaecli.errors import UsageError
from vaecli.runs.train import train

LAUNCHERS = [
    {"SLURM_NTASKS": "2", "SLURM_PROCID": "0"},
    {"SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "ENVIRONMENT": "BATCH"},
    {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"},
    {"PMI_SIZE": "2", "PMI_RANK": "0"},
    {"MV2_COMM_WORLD_SIZE": "2"},
    {"WORLD_SIZE": "2", "RANK": "0"},
]


@pytest.fixture
def environment(monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "ENVIRONMENT", "SLURM_STEP_NUM_TASKS", *(name for names in LAUNCHERS for name in names)):
        monkeypatch.delenv(name, raising=False)

    def set_variables(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.mark.parametrize("variables", LAUNCHERS, ids=lambda variables: next(iter(variables)))
@pytest.mark.parametrize("words", [["train", "--epochs", "1"], ["compare", "x"], ["sample", "x"]], ids=lambda words: words[0])
def test_processes_of_another_launcher_are_told_what_to_type(environment, vaecli, tmp_path, variables, words):
    environment(variables)
    outcome = vaecli(*words)
    assert outcome.code == 2
    assert outcome.err.startswith("vaecli: found 2 processes of ")
    assert "torchrun --nproc-per-node 2 -m vaecli" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_script_of_another_launcher_too(environment, tmp_path, small_mnist):
    environment(LAUNCHERS[0])
    with pytest.raises(UsageError, match="2 processes of srun"):
        train(Config(epochs=1), tmp_path / "run", data_dir=small_mnist)


@pytest.mark.parametrize(
    "variables",
    [
        {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"},
        {"SLURM_NTASKS": "4"},  # a shell of salloc
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},  # a shell of srun --pty
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "ENVIRONMENT": "BATCH"},  # a script of sbatch
        {"WORLD_SIZE": "2"},
        {"OMPI_COMM_WORLD_SIZE": "1"},
        {"PMI_SIZE": ""},
    ],
    ids=str,
)
def test_one_process_of_another_launcher_works(environment, vaecli, trained, variables):
    environment(variables)
    assert vaecli("sample", trained, "--out", "x.png").code == 0


def test_what_to_type_for_work_of_its_own_is_right(environment, vaecli, trained, monkeypatch):
    environment(LAUNCHERS[0])
    said = vaecli("sample", trained).err
    assert "env -u SLURM_PROCID vaecli" in said
    monkeypatch.delenv("SLURM_PROCID")
    assert vaecli("sample", trained, "--out", "x.png").code == 0
