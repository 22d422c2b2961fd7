"""A classifier of transformers as ONNX Runtime reads it: `python -m apps.benches.to_onnx FOLDER` adds model.onnx.

In a process of its own, since neither side of a comparison should have PyTorch's exporter in its memory.
"""

from __future__ import annotations

import sys
from pathlib import Path

from apps.benches.peer import inputs_of


def convert(folder: Path) -> None:
    """Writes model.onnx beside the weights: rows and lengths open, fused by ONNX Runtime's optimizer of BERT."""
    import torch
    from onnxruntime.transformers.optimizer import optimize_model
    from transformers import AutoModelForSequenceClassification

    # The optimizer knows attention by its plain products.
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    config, path = model.config, folder / "plain.onnx"
    config.return_dict = False
    ones = torch.ones(2, 8, dtype=torch.int64)
    names = list(inputs_of({"ids": ones, "mask": ones, "segments": ones}, model))
    open_axes = {name: {0: "rows", 1: "length"} for name in names} | {"logits": {0: "rows"}}
    torch.onnx.export(
        model, (ones,) * len(names), str(path), input_names=names, output_names=["logits"], dynamic_axes=open_axes,
        opset_version=17, dynamo=False,
    )  # fmt: skip
    fused = optimize_model(
        str(path), model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size
    )
    fused.save_model_to_file(str(folder / "model.onnx"))
    path.unlink()


if __name__ == "__main__":
    convert(Path(sys.argv[1]))
