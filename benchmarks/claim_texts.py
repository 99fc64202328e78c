"""The claims: question, source, command, and what the numbers say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """One comparison. metrics: shown besides the one that is compared."""

    question: str
    claim: str
    typed: tuple[str, ...]
    reading: str
    metrics: tuple[str, ...] = ()


CLAIMS = {
    "order": Claim(
        "Does an encoder need position information?",
        "Attention without positions sees a set, not a sequence (Vaswani et al. 2017).",
        ("experiment=order", "position=rope,sinusoidal,learned,alibi,none", "lr=fixed"),
        "Confirmed: without positions the encoder guesses (51 %), with rotary, sinusoidal or "
        "learned positions it is always right. ALiBi, here with one slope for each direction, "
        "solves the task completely in four of five seeds. The verdicts among the positions that "
        "solve it are meaningless: their losses differ in the fourth decimal.",
        ("test/accuracy",),
    ),
    "warmup": Claim(
        "Does warm-up help a deep network?",
        "With norms after each layer training needs a warm-up, with norms before each layer it "
        "does not (Xiong et al. 2020).",
        ("experiment=warmup", "residual=post_norm,pre_norm", "schedule.warmup_steps=0,100",
         "model.n_layers=6", "optimizer.lr=3e-3", "trainer.max_steps=400", "lr=fixed"),
        "Confirmed at this learning rate: with post-norm and no warm-up, six layers learn hardly "
        "more than byte frequencies; with a quarter of the steps as warm-up they learn, in every "
        "seed; with pre-norm they learn either way. It depends on depth and learning rate: six "
        "post-norm layers needed no warm-up at 1e-3, and twelve learned nothing at 1e-3 with 60 "
        "steps of warm-up or without. Warm-up widens the range of usable rates, and only that.",
    ),
    "no_norm": Claim(
        "Does a deep network need norms?",
        "Residual networks without norms fail at learning rates that norms allow, unless their "
        "initial weights are scaled for it (Zhang et al. 2019, Fixup).",
        ("experiment=no_norm", "norm=layernorm,none", "init=xavier,fixup",
         "optimizer.lr=2e-3,8e-3", "lr=fixed"),
        "Confirmed at the high rate: with Xavier initialisation and no norms all five runs "
        "diverge, where LayerNorm trains and improves with the rate. At the low rate they do not "
        "diverge but end at a loss in the hundreds, because with embeddings of size one the "
        "residual stream is large from the start. Fixup makes training without norms as good as "
        "LayerNorm at the low rate; at the high rate two of five runs diverge and the others are "
        "as good. Fixup together with LayerNorm is worse than either: it starts layers at zero "
        "for a problem that the norm has solved.",
    ),
    "norms": Claim(
        "Is RMSNorm as good as LayerNorm?",
        "Leaving out the mean costs nothing in quality (Zhang and Sennrich 2019). The placebo is "
        "LayerNorm again, with other initial weights.",
        ("experiment=norms", "norm=layernorm,rmsnorm", "placebo=true"),
        "No significant difference: neither RMSNorm nor the placebo differs from LayerNorm by "
        "more than other initial weights do. That does not prove equality: the interval is wider "
        "than the margin of 0.5 %, so the verdict is not `equal`.",
    ),
    "activations": Claim(
        "ReLU, GELU or SwiGLU, with equal parameters?",
        "Gated activations improve on ungated ones of equal size (Shazeer 2020).",
        ("experiment=activations", "activation=relu,gelu,swiglu"),
        "No significant difference: SwiGLU is 2.6 % ahead of ReLU on average, and five seeds at "
        "400 steps do not suffice to confirm it. GELU and ReLU are closer still. Parameters are "
        "equal within 0.11 %, and each activation has its own learning rate.",
    ),
    "positions": Claim(
        "How should a decoder encode positions?",
        "Rotary positions and linear biases improve on added ones (Su et al. 2021; Press et al. "
        "2022); a causal decoder can do without any (Kazemnejad et al. 2023).",
        ("experiment=positions", "position=rope,none,learned,sinusoidal,alibi"),
        "Confirmed within the training length: RoPE is best, ALiBi second, and both are ahead of "
        "added positions. Sinusoidal positions are no better than none, learned ones are worse "
        "than none: 200 steps are few to learn what causal attention provides by itself.",
    ),
    "smoothing": Claim(
        "Does label smoothing calibrate probabilities?",
        "It hurts perplexity, helps accuracy (Vaswani et al. 2017) and calibrates (Müller et al. "
        "2019).",
        ("experiment=smoothing", "loss.label_smoothing=0.0,0.1", "lr=fixed"),
        "Confirmed for calibration: the expected calibration error falls by a quarter. The test "
        "loss falls too, contrary to the claim that perplexity suffers: these models overfit, and "
        "overconfidence is penalised. Accuracy does not change by more than its noise.",
        ("test/accuracy", "test/ece"),
    ),
    "epochs": Claim(
        "Does dropout help when little data is repeated often?",
        "Dropout prevents co-adaptation and so overfitting (Srivastava et al. 2014).",
        ("experiment=epochs", "residual.dropout=0.0,0.1,0.3", "lr=fixed"),
        "No effect on the loss: after 48 passes over 400 snippets all three are so confident in "
        "wrong answers that the loss is three times that of guessing, with dropout as without. "
        "Accuracy with 0.3 is 24 % instead of 21 %, where chance is one in eight. Early stopping "
        "would help more: the loss of the last step is compared here.",
        ("test/accuracy",),
    ),
    "inits": Claim(
        "Does the scale of initial weights matter?",
        "Weights drawn so that variances stay equal let deep networks train (Glorot and Bengio "
        "2010; He et al. 2015); scaling by depth helps residual ones (Radford et al. 2019).",
        ("experiment=inits", "init=xavier,kaiming,depth_scaled"),
        "Confirmed, but in an unexpected order: He initialisation, the largest of the three, ends "
        "ahead of Xavier, each with its own learning rate, six layers and pre-norm. Depth-scaled "
        "weights of 0.02 are behind on average and vary so much between seeds that the difference "
        "is not significant at 200 steps.",
    ),
    "optimizers": Claim(
        "Can gradient descent train a transformer as well as Adam?",
        "Transformers need adaptive steps; gradient descent lags behind (Zhang et al. 2020).",
        ("experiment=optimizers", "optimizer=adam,sgd"),
        "Confirmed: with its own learning rate, tuned as far as the search goes, gradient descent "
        "with momentum ends a tenth above Adam's loss in all five seeds.",
    ),
}  # fmt: skip
