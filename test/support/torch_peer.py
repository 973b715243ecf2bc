"""The PyTorch side of pytorch.test.ts:  torch_peer.py OURS THEIRS CASE

Loads the checkpoint OURS strictly into MedMamba-T, writes other weights of PyTorch's own to THEIRS, and to CASE an
image of 224 x 224 with its logits by the one and by the other.
"""
import sys

import torch
from medmamba_torch import VARIANTS, MedMamba
from safetensors.torch import load_file, save_file

ours, theirs, case = sys.argv[1:]
torch.manual_seed(7)
model = MedMamba(VARIANTS["tiny"])
images = torch.randn(1, 3, 224, 224)


def logits(state):
    model.load_state_dict(state, strict=True)
    with torch.no_grad():
        return model.eval()(images)


def disturbed(name, value):
    """Away from what initialisation makes alike, so that no parameter can be forgotten or take another's place."""
    if value.dtype == torch.int64:
        return value + 3
    if name.endswith("running_var"):
        return value + torch.rand_like(value)
    return value + 0.01 * torch.randn_like(value)


state = {name: disturbed(name, value) for name, value in model.state_dict().items()}
save_file(state, theirs)
save_file({"images": images, "ours": logits(load_file(ours)), "theirs": logits(state)}, case)
