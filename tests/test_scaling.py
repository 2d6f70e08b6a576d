"""The page about many processes and its job files: what they say is what the programs do."""

from __future__ import annotations

import inspect
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from torch.distributed.elastic.rendezvous import dynamic_rendezvous
from torch.distributed.run import get_args_parser

from hornbook.cli.flags import SettingsParser

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "scaling.md").read_text("utf-8")
SLURM = ROOT / "examples" / "cluster" / "slurm.sh"
KUBERNETES = ROOT / "examples" / "cluster" / "kubernetes.yaml"
CAN_JOIN = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"  # a torchrun that comes later


def accepts(arguments: list[str]) -> None:
    """Ends the test where `hornbook train` does not know one of the arguments."""
    parser = SettingsParser("train")
    parser.add_argument("--out")
    parser.read(arguments)


def torchrun_accepts(words: list[str]) -> None:
    """torchrun knows these options, starts hornbook and lets one machine find another."""
    found = get_args_parser().parse_args(words)
    assert (found.module, found.training_script) == (True, "hornbook")
    assert found.rdzv_backend == "c10d"
    assert found.rdzv_endpoint.endswith(":29500")
    assert found.rdzv_id != "none"
    assert found.max_restarts == 3


def test_the_table_is_what_the_script_calculates() -> None:
    script = ROOT / "benchmarks" / "scaling.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(rows) == 11
    for row in rows:
        assert row in PAGE


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_slurm_job_is_a_script_whose_command_hornbook_accepts() -> None:
    subprocess.run(["bash", "-n", str(SLURM)], check=True)
    text = SLURM.read_text("utf-8").replace("\\\n", " ")
    words = shlex.split(next(line for line in text.splitlines() if line.startswith("srun ")))
    at = words.index("torchrun")
    assert {"--cpus-per-task", "--kill-on-bad-exit=1"} <= set(words[1:at])
    assert f"export {CAN_JOIN}=1" in text
    torchrun_accepts(words[at + 1 :])
    accepts(words[words.index("train") + 1 :])


def test_the_kubernetes_job_is_yaml_whose_command_hornbook_accepts() -> None:
    service, job = yaml.safe_load_all(KUBERNETES.read_text("utf-8"))
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    command = container["command"]
    assert {"name": CAN_JOIN, "value": "1"} in container["env"]
    torchrun_accepts(command[1:])
    accepts(command[command.index("train") + 1 :])
    nodes = next(word for word in command if word.startswith("--nnodes="))
    assert nodes == f"--nnodes={job['spec']['completions']}"
    gpus = container["resources"]["limits"]["nvidia.com/gpu"]
    assert f"--nproc-per-node={gpus}" in command
    assert pod["subdomain"] == service["metadata"]["name"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }


def test_torchrun_still_has_the_variable_that_the_page_names() -> None:
    assert CAN_JOIN in PAGE
    assert CAN_JOIN in inspect.getsource(dynamic_rendezvous)


def test_commands_of_the_page_are_accepted() -> None:
    commands = PAGE.replace("\\\n", " ").splitlines()
    found = [shlex.split(line) for line in commands if line.startswith("torchrun")]
    assert len(found) == 2
    for words in found:
        accepts(words[words.index("train") + 1 :])
