"""Tiny ViT and DeiT with random weights, as transformers saves them, and what transformers computes with them.

tests/interop/recorded holds two of them, so that the tests of reading need neither PyTorch nor transformers. To write
them anew (transformers 5.23, PyTorch 2.13):

    python -m tests.interop.image_checkpoints
"""

import json
import shutil

import numpy as np

from tests.interop.checkpoints import EXPECTED, RECORDED

SIZES = {
    "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12,
    "image_size": [8, 12], "patch_size": 4,
}  # fmt: skip
LABELS = ["cat", "crane", "crane"]  # ImageNet has two cranes
NAMES = ("ViTModel", "ViTForImageClassification", "DeiTModel", "DeiTForImageClassification",
         "DeiTForImageClassificationWithTeacher")  # fmt: skip
PIXELS = {
    "image_processor_type": "ViTImageProcessor", "do_resize": True, "size": {"height": 8, "width": 12}, "resample": 2,
    "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.5, 0.25, 0.2],
}  # fmt: skip


def make(name, seed=0, **fields):
    """A model of transformers whose every weight is random, norms and biases too."""
    import torch
    import transformers

    kind = "DeiT" if name.startswith("DeiT") else "ViT"
    if "Classification" in name:
        fields["id2label"] = dict(enumerate(LABELS))
    config = getattr(transformers, f"{kind}Config")(**{**SIZES, "attn_implementation": "eager", **fields})
    torch.manual_seed(seed)
    model = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for path, weight in model.named_parameters():
            weight.normal_(1.0 if "layernorm" in path and path.endswith("weight") else 0.0, 0.4)
    return model


def save(model, folder, pixels=None):
    model.save_pretrained(folder)
    text = json.dumps(pixels or PIXELS, indent=1) + "\n"
    (folder / "preprocessor_config.json").write_text(text, encoding="utf-8")


def images(height=8, width=12, channels=3, seed=0):
    """float32 [2, Y, X, C]."""
    return np.random.default_rng(seed).normal(size=(2, height, width, channels)).astype("float32")


def outputs(model, given):
    """What transformers computes: last hidden states, logits where it has any, and attention [layers, B, H, T, T]."""
    import torch

    with torch.no_grad():
        fed = torch.from_numpy(given).permute(0, 3, 1, 2)
        found = model(fed, output_attentions=True)
        base = getattr(model, model.config.model_type, model)
        hidden = base(fed).last_hidden_state
    output = found.logits if "logits" in found else hidden
    attention = torch.stack(found.attentions)
    return {"hidden": hidden.numpy(), "output": output.numpy(), "attention": attention.numpy()}


def record(name, folder):
    """A recorded checkpoint and beside it, in one file, images and outputs."""
    from safetensors.numpy import save_file

    shutil.rmtree(folder, ignore_errors=True)
    model, given = make(name), images()
    save(model, folder)
    save_file({"images": given, **outputs(model, given)}, folder / EXPECTED)


if __name__ == "__main__":
    record("ViTForImageClassification", RECORDED / "vit-classify")
    record("DeiTForImageClassificationWithTeacher", RECORDED / "deit-distilled")
