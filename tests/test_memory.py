import pytest

from vaecli.memory import machine_memory

V2 = "0::/user.slice/job\n"
V1 = "9:cpu,cpuacct:/\n4:memory:/slurm/job_1\n0::/\n"


def limits(root, groups, **files):
    """A root whose process is in these control groups, with limits by path below sys/fs/cgroup."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, limit in files.items():
        file = root / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    return root


def test_the_machine_has_memory():
    assert 1 << 26 < machine_memory() < 1 << 50


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        (V2, {"user.slice/job/memory.max": 1 << 20, "user.slice/memory.max": "max"}),
        (V2, {"user.slice/job/memory.max": "max", "user.slice/memory.max": 1 << 20}),
        (V2, {"unified/user.slice/job/memory.max": 1 << 20}),
        ("0::/", {"memory.max": 1 << 20}),
        ("0::/seen/from/the/host", {"memory.max": 1 << 20}),
        (V1, {"memory/slurm/job_1/memory.limit_in_bytes": 1 << 20, "memory/memory.limit_in_bytes": (1 << 63) - 4096}),
        (V1, {"memory/slurm/memory.limit_in_bytes": 1 << 20, "memory/slurm/job_1/memory.limit_in_bytes": 1 << 30}),
        ("4:cpu,memory:/a", {"cpu,memory/a/memory.limit_in_bytes": 1 << 20}),
    ],
)
def test_the_limit_is_that_of_the_control_groups(tmp_path, groups, files):
    assert machine_memory(limits(tmp_path, groups, **files)) == 1 << 20


@pytest.mark.parametrize(
    ("groups", "files"), [(V2, {}), (V2, {"user.slice/job/memory.max": "max"}), ("nonsense\n\n::", {}), (V1, {"memory.max": "?"})]
)
def test_without_a_limit_it_is_the_machines(tmp_path, groups, files):
    assert machine_memory(limits(tmp_path, groups, **files)) == machine_memory(tmp_path / "nothing") > 1 << 26
