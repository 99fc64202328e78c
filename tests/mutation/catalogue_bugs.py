"""Bugs in parts of the catalogue, to be planted in a copy of the tree by planted_bugs.py."""

from __future__ import annotations

from typing import NamedTuple

from tests.mutation.bugs import PACKAGE


class PartBug(NamedTuple):
    """In a file of the package, `old` becomes `new`; a test of the part must fail.

    tests: where; empty = the test file that mirrors the module.
    """

    file: str
    old: str
    new: str
    tests: str = ""

    @property
    def path(self) -> str:
        return f"{PACKAGE}/{self.file}"

    @property
    def noticed_by(self) -> str:
        if self.tests:
            return self.tests
        folder, name = self.file.rsplit("/", 1)
        return f"tests/unit/{folder}/test_{name}"

    @property
    def label(self) -> str:
        return self.new

    @property
    def arguments(self) -> list[str]:
        """Of pytest, for the tests that must notice."""
        return [self.noticed_by, "-m", "slow or thorough or not slow"]


SCHEDULES = "tests/unit/optim/schedule"

PART_BUGS = [
    # norm
    PartBug("nn/norm/rmsnorm.py", "self.weight.to(wide) + 1", "self.weight.to(wide)"),
    PartBug("nn/norm/scalenorm.py", "self.scale / math.sqrt(self.dim)", "self.scale"),
    PartBug("nn/norm/l2norm.py", "length / math.sqrt(dim)", "length / dim"),
    PartBug("nn/norm/scaled_l2norm.py", "scale = dim**-0.5 if", "scale = 1.0 if"),
    PartBug("nn/norm/dyt.py", "* self.weight + self.bias", "* (self.weight + self.bias)"),
    PartBug("nn/norm/derf.py", "self.alpha * x + self.shift", "self.alpha * (x + self.shift)"),
    # activation
    PartBug("nn/activation/swiglu_clamped.py", "up.clamp(-self.limit", "up.clamp(0.0"),
    PartBug("nn/activation/xielu.py", "expm1() - x)", "expm1())"),
    PartBug("nn/activation/geglu_tanh.py", "F.gelu(gate", "F.gelu(up"),
    # feed-forward
    PartBug("nn/ffn/dense.py", "(n_inputs + 1)", "n_inputs"),
    PartBug("nn/ffn/scaled.py", "(s * y)", "y"),
    PartBug("nn/ffn/moe.py", "weights = scores.gather", "weights = choice.gather"),
    PartBug("nn/ffn/moe.py", "y = y + self.shared(x)", "y = self.shared(x)"),
    PartBug("nn/ffn/moe.py", "added + self.z_loss", "added + 0 * self.z_loss"),
    PartBug("nn/ffn/moe_sigmoid.py", "logits.sigmoid()", "logits.softmax(dim=-1)"),
    # position
    PartBug("nn/position/rope_linear.py", "(pair) / self.factor", "(pair) * self.factor"),
    PartBug("nn/position/rope_ntk.py", "(self.width - 2)", "self.width"),
    PartBug("nn/position/rope_yarn.py", "0.1 * math.log(factor) + 1", "1.0"),
    PartBug("nn/position/rope_llama3.py", "(f / self.factor, f,", "(f, f / self.factor,"),
    PartBug("nn/position/rope_nope.py", "!= self.n_rope", "!= 0"),
    PartBug("nn/position/xpos.py", "turn / fade", "turn * fade"),
    PartBug("nn/position/xpos.py", "(pair / self.width + ", "(2 * pair / self.width + "),
    PartBug("nn/position/t5_bias.py", "n * (distance < 0)", "n * (distance > 0)"),
    PartBug("nn/position/alibi.py", "-self.future_ratio * distance", "-distance"),
    PartBug("nn/position/sinusoidal.py", "angle.sin(), angle.cos()", "angle.cos(), angle.sin()"),
    # attention
    PartBug("nn/attention/differential.py", "- self._lam()", "+ self._lam()"),
    PartBug("nn/attention/differential.py", "-0.3 * info.", "-0.3 + 0 * info."),
    PartBug("nn/attention/gated.py", "torch.sigmoid(self.gate(x))", "self.gate(x)"),
    PartBug("nn/attention/mla.py", "return context.rotated_keys(k_rope)", "return k_rope"),
    PartBug("nn/attention/mla.py", "q = q * (self.scale", "q = q * (2 * self.scale"),
    PartBug("nn/attention/value_residual.py", "self.mix[0] * own", "self.mix[1] * own"),
    PartBug("nn/attention/value_embedding.py", "info.n_layers - 1 - layer", "layer"),
    PartBug("nn/attention/value_embedding.py", "self.mix[1] * of_token", "of_token"),
    PartBug("nn/attention/forgetting.py", "self._sums[..., -1:] + sums", "sums"),
    PartBug("nn/attention/forgetting.py", "padding[..., None], 0.0", "padding[..., None], -1.0"),
    PartBug("nn/attention/cope.py", "cumsum(dim=-1).flip(-1)", "cumsum(dim=-1)"),
    PartBug("nn/attention/cope.py", "~context.mask, 0.0", "~context.mask, 1.0"),
    PartBug(
        "nn/attention/context.py",
        "F.pad(self.bias, (n, 0))",
        "F.pad(self.bias, (0, n))",
        "tests/unit/nn/attention/test_persistent_memory.py",
    ),
    PartBug(
        "nn/attention/context.py",
        "return y[:, :, n:]",
        "return y[:, :, :-n]",
        "tests/unit/nn/attention/test_persistent_memory.py",
    ),
    PartBug("nn/attention/talking_heads.py", "ij,bjts->bits", "ji,bjts->bits"),
    PartBug("nn/recurrent/linear.py", "sums[..., -1:] + self.eps", "1.0"),
    PartBug(
        "nn/recurrent/chunked_scan.py",
        "after = left[..., None, None] * after + new",
        "after = after + new",
        "tests/unit/nn/recurrent/test_mamba2.py",
    ),
    PartBug(
        "nn/recurrent/chunked_scan.py",
        "(learnt @ k.mT * decays.within)",
        "(learnt @ k.mT)",
        "tests/unit/nn/recurrent/test_gated_deltanet.py",
    ),
    PartBug("nn/recurrent/mamba2.py", "to_float32(self.skip)[:, None] * u", "u"),
    PartBug("nn/recurrent/gated_deltanet.py", "_unit(k)", "k"),
    PartBug("nn/attention/hybrid.py", "% (self.n_first + 1)", "% self.n_first"),
    # kernel
    PartBug(
        "nn/attention/kernels/eager.py",
        "score_mods.softcap * torch.tanh",
        "torch.tanh",
        "tests/unit/nn/attention/test_softcap.py",
    ),
    PartBug(
        "nn/attention/kernels/sdpa.py",
        "(sinks.to(q.dtype) * width**0.5)",
        "sinks.to(q.dtype)",
        "tests/unit/nn/attention/kernels/test_kernels.py",
    ),
    PartBug("nn/attention/kernels/flex.py", "score = score + _at(bias", "score = score - _at(bias"),
    # pattern
    PartBug("nn/pattern/sliding_window.py", "< self.window", "<= self.window"),
    PartBug("nn/pattern/dilated.py", "% self.dilation == 0", "% self.dilation != 1"),
    PartBug("nn/pattern/block.py", "== keys // self.block_len", ">= keys // self.block_len"),
    PartBug("nn/pattern/global_tokens.py", "| (keys <", "& (keys <"),
    PartBug("nn/pattern/local_global.py", "== self.n_local", "!= self.n_local"),
    PartBug(
        "nn/pattern/base.py", "min=self.n_prefix - 1", "min=self.n_prefix", "tests/unit/nn/pattern"
    ),
    # residual
    PartBug("nn/residual/deepnorm.py", "self.alpha * x", "x"),
    PartBug("nn/residual/sandwich.py", "self.norm_out(f(self.norm(x)))", "f(self.norm(x))"),
    PartBug("nn/residual/layerscale.py", "torch.full((dim,), start)", "torch.ones(dim)"),
    PartBug("nn/residual/rezero.py", "torch.zeros(1)", "torch.ones(1)"),
    PartBug("nn/residual/ln_scaling.py", "** -0.5", "** 0.5"),
    PartBug("nn/residual/residual_dual.py", "v + y", "u + y"),
    PartBug("nn/residual/mix_ln.py", "< n_post", "<= n_post"),
    PartBug("nn/residual/hyper_connections.py", "info.layer % self.n", "0"),
    PartBug("nn/residual/reordered.py", "self.norm(f(x))", "f(self.norm(x))"),
    PartBug("nn/residual/ngpt.py", "self.rates().abs()", "self.rates()"),
    PartBug("nn/residual/depth_attention.py", "square().mean(dim=-1)", "square().sum(dim=-1)"),
    # block, layer_sharing
    PartBug("nn/block/parallel.py", "+ self.ffn(h)", "+ self.ffn(x)"),
    PartBug("nn/block/macaron.py", "0.5 * self.first_ffn(h)", "self.first_ffn(h)"),
    PartBug("nn/block/canon.py", "return x + row.restore", "return row.restore"),
    PartBug("nn/block/canon.py", '"v": self.attention.v', '"v": self.attention.k'),
    PartBug("nn/layer_sharing/cycle.py", "layer % self.n_blocks", "layer // self.n_blocks"),
    PartBug(
        "nn/layer_sharing/sequence.py", "layer * self.n_blocks // n_layers", "layer % self.n_blocks"
    ),
    # memory_tokens
    PartBug(
        "nn/memory_tokens/base.py",
        "own.tril() if causal else own",
        "own",
        "tests/unit/nn/memory_tokens",
    ),
    # embedding, head
    PartBug("nn/embedding/scaled.py", "d_model**0.5", "d_model"),
    PartBug("nn/embedding/factorised.py", "self.up.weight.t())", "self.up.weight.t()) * 0.5"),
    PartBug(
        "nn/linear.py", "self.softcap * torch.tanh", "torch.tanh", "tests/unit/nn/test_linear.py"
    ),
    # init
    PartBug("nn/init/depth_scaled.py", "info.n_residuals**0.5", "info.n_residuals"),
    PartBug("nn/init/kaiming.py", "weight.shape[1] ** 0.5", "weight.shape[0] ** 0.5"),
    PartBug("nn/init/mup.py", "return self.base_width / (", "return 1.0 + 0 * ("),
    PartBug("nn/init/unit_norm.py", "_draw(weight, 0, generator)", "_draw(weight, 1, generator)"),
    PartBug("nn/init/unit_norm.py", "0 if isinstance(module", "1 if isinstance(module"),
    PartBug("distributed/unit_norm.py", "> rounding, length", "> -1, length"),
    PartBug("nn/init/deepnet.py", "** (-1 / 4)", "** (-1 / 2)"),
    PartBug("nn/init/tfixup.py", "0.67 * n**-0.25", "0.67 * n**-0.5"),
    PartBug("nn/init/small_init.py", "(2 / (5 * weight.shape[0]))", "(2 / weight.shape[0])"),
    # optimizer, schedule
    PartBug(
        "optim/optimizers/lion.py",
        "grads, means, beta1",
        "means, grads, beta1",
        "tests/unit/optim/optimizers/test_lion.py",
    ),
    PartBug("optim/optimizers/adan.py", "(step > 1)", "(step > 0)"),
    PartBug("optim/optimizers/mars.py", "torch._foreach_clamp_min(norms, 1.0)", "norms"),
    PartBug("optim/optimizers/schedule_free.py", "(y, z, share)", "(z, y, share)"),
    PartBug("optim/optimizers/soap.py", "[side] @ state[basis]", "[basis] @ state[side]"),
    PartBug(
        "optim/masked_optimizer.py",
        "with unchanged_where(skip > 0",
        "with unchanged_where(skip > 1",
    ),
    PartBug(
        "nn/parameter_roles.py",
        "= max(role,",
        "= min(role,",
        "tests/contracts/test_parameter_roles.py",
    ),
    PartBug("tasks/metrics/exact_sum.py", "torch.stack((high, ", "torch.stack((high, 0 * "),
    PartBug(
        "optim/orthogonal.py",
        "mean(dim=1",
        "mean(dim=0",
        "tests/unit/optim/optimizers/test_normuon.py",
    ),
    PartBug(
        "optim/schedule/decay.py", "first, total_steps))", "first, total_steps - 1))", SCHEDULES
    ),
    PartBug("optim/schedule/inverse_sqrt.py", "n_steps - 1)", "n_steps)", SCHEDULES),
    PartBug(
        "optim/schedule/one_minus_sqrt.py",
        "1.0 - math.sqrt(",
        "math.sqrt(1.0 - ",
        "tests/unit/optim/schedule",
    ),
    PartBug("optim/schedule/power.py", "(step + 1) / n_steps", "step / n_steps", SCHEDULES),
    # task, loss
    PartBug("tasks/multi_token.py", "labels[:, 1:], (0, 1)", "labels[:, :-1], (1, 0)"),
    PartBug(
        "nn/loss/cross_entropy.py", "label_smoothing=self.label_smoothing", "label_smoothing=0.0"
    ),
]
