"""The peer of the text encoders: models of transformers on PyTorch, trained the way that their users do."""

from __future__ import annotations

from typing import Any

NOT_DECAYED = ("bias", "LayerNorm", "position_embeddings")


def make_optimizer(model: Any, choices: Any) -> Any:
    """PyTorch's fused AdamW with the choices of a recipe's [training]; norms, biases and positions do not decay.

    Args:
        model: parameters that do not require a gradient are left out.
        choices: peak_rate, beta_1, beta_2, epsilon, weight_decay.
    """
    import torch

    groups: dict[bool, list[Any]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[not any(part in name for part in NOT_DECAYED)].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": choices.weight_decay if decayed else 0.0}
            for decayed, parameters in groups.items()
        ],
        lr=choices.peak_rate,
        betas=(choices.beta_1, choices.beta_2),
        eps=choices.epsilon,
        fused=True,
    )


def inputs_of(batch: Any, model: Any) -> dict[str, Any]:
    """The names of transformers for ids, mask and segments [B, T] of a batch; segments where the model has them."""
    given = {"input_ids": batch["ids"], "attention_mask": batch["mask"]}
    return given | ({"token_type_ids": batch["segments"]} if getattr(model.config, "type_vocab_size", 0) > 1 else {})


def descend(loss: Any, model: Any, optimizer: Any, clip_norm: float) -> None:
    """One update: gradients of the loss, clipped by their global norm where that is above 0, and AdamW."""
    import torch

    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clip_norm:
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
