"""The compiler stays out of a process that only trains, and is whole for one that asks for it."""

import os
import subprocess
import sys

TRAIN = """
import sys
import torch
from bayesight.training.hardware import choose_hardware
fabric = choose_hardware(threads=1, device="cpu").fabric
model = torch.nn.Linear(3, 2)
model, optimizer = fabric.setup(model, torch.optim.AdamW(model.parameters(), lr=0.1, fused=True))
before = model.weight.detach().clone()
for _ in range(3):
    optimizer.zero_grad()
    fabric.backward(model(torch.ones(4, 3)).square().sum())
    optimizer.step()
assert not torch.equal(before, model.weight)
"""

DEFERRED = "from bayesight.training.startup import defer_imports; assert defer_imports()\n" + TRAIN
NOT_LOADED = "assert 'sympy' not in sys.modules and 'torch._dynamo.convert_frame' not in sys.modules\n"


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_what_does_not_train_does_not_load_fabric():
    code = "import sys\nfrom bayesight.workflows import evaluate, predict, update\n"
    done = run(code + "assert not {'lightning_fabric', 'torch._dynamo'} & set(sys.modules)")
    assert done.returncode == 0, done.stderr


def test_training_does_without_the_compiler_and_compiling_afterwards_works():
    compiled = (
        "double = torch.compile(lambda x: 2 * x, backend='eager')\n"
        "assert double(torch.ones(2)).tolist() == [2, 2]\n"
        "real = sys.modules['torch._dynamo']\n"
        "assert torch._dynamo is real and 'config' in vars(real)\n"
        "optimizer.zero_grad(); fabric.backward(model(torch.ones(4, 3)).sum()); optimizer.step()\n"
    )
    done = run(DEFERRED + NOT_LOADED + compiled)
    assert done.returncode == 0, done.stderr


def test_a_training_command_loads_no_measures_no_statistics_and_no_graphs():
    heavy = "{'torchmetrics', 'scipy.stats', 'scipy.optimize', 'scipy.sparse.csgraph', 'networkx'}"
    code = (
        "import bayesight.workflows.sources, bayesight.workflows.train\n"
        f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)\n"
        "import torchmetrics\n"
        "assert torchmetrics.Metric\n"
    )
    done = run(DEFERRED + code)
    assert done.returncode == 0, done.stderr


def test_one_of_its_modules_is_the_same_however_it_is_reached():
    code = "import torch._dynamo.utils as utils\nassert torch._dynamo.utils is utils\n"
    more = (
        "assert torch._dynamo.convert_frame.counters is utils.counters\n"
        "assert utils.__spec__.origin.endswith('utils.py')\n"
    )
    done = run(DEFERRED + NOT_LOADED + code + more)
    assert done.returncode == 0, done.stderr


def test_nothing_is_deferred_under_torchrun_or_when_it_is_there_already():
    code = "from bayesight.training.startup import defer_imports\nassert not defer_imports()"
    assert run(code, WORLD_SIZE="1").returncode == 0
    done = run("import torch._dynamo\n" + code)
    assert done.returncode == 0, done.stderr
