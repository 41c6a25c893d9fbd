"""Cross entropy at labels, without the whole `[labels, vocabulary]` of logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

# Rows of logits that exist at once: 256 of them with 49,152 columns take 50 MB.
LOGIT_ROWS = 256


class LabelLoss(Function):
    """The mean of −log softmax(h Wᵀ)[label] over rows; its gradient is made on the way.

    With p = softmax(h Wᵀ):  dh = (p − onehot(label)) W / rows.  LOGIT_ROWS rows of logits at a time, each
    used for both and forgotten.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, head: Tensor, labels: Tensor) -> Tensor:
        rows = h.shape[0]
        dh = torch.empty_like(h) if ctx.needs_input_grad[0] else None
        total = h.new_zeros(())
        buffer = h.new_empty(head.shape[0] * min(LOGIT_ROWS, rows))
        for start in range(0, rows, LOGIT_ROWS):
            chunk = slice(start, min(start + LOGIT_ROWS, rows))
            # One column a row of h: CPUs multiply that way round nearly twice as fast.
            logits = buffer[: head.shape[0] * (chunk.stop - start)].view(head.shape[0], -1)
            torch.mm(head, h[chunk].t(), out=logits)
            of_label = logits.gather(0, labels[None, chunk])
            highest = logits.amax(0, keepdim=True)
            exp = logits.sub_(highest).exp_()
            z = exp.sum(0, keepdim=True)
            total += (z.log() + highest - of_label).sum()
            if dh is not None:
                torch.mm(exp.t(), head, out=dh[chunk]).div_(z.t()).sub_(head[labels[chunk]])
        if dh is not None:
            ctx.save_for_backward(dh.div_(rows))
        return total / rows

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (dh,) = ctx.saved_tensors
        return dh * grads[0], None, None
