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
        "solves the task completely in four of five seeds. The verdicts among the positions "
        "that solve it are meaningless: their losses differ in the fourth decimal, and the "
        "margin is 0.5 % of 0.0002.",
        ("test/accuracy",),
    ),
    "warmup": Claim(
        "Does warm-up help a deep network?",
        "With norms after each layer training needs a warm-up, with norms before each layer it "
        "does not (Xiong et al. 2020).",
        ("experiment=warmup", "residual=post_norm,pre_norm", "schedule.warmup_steps=0,100",
         "model.n_layers=6", "optimizer.lr=3e-3", "trainer.max_steps=400", "lr=fixed"),
        "Confirmed at this learning rate: with post-norm and no warm-up, six layers learn "
        "hardly more than byte frequencies; with a quarter of the steps as warm-up they learn, "
        "in every seed; with pre-norm they learn either way. Warm-up lowers the mean loss by "
        "0.656 with post-norm and by 0.028 (1.1 %) with pre-norm; the latter is no comparison "
        "with the baseline and was not tested. It depends on depth and learning rate: six "
        "post-norm layers needed no warm-up at 1e-3, and twelve learned nothing at 1e-3 with 60 "
        "steps of warm-up or without.",
    ),
    "no_norm": Claim(
        "Does a deep network need norms?",
        "Residual networks without norms fail at learning rates that norms allow, unless their "
        "initial weights are scaled for it (Zhang et al. 2019, Fixup).",
        ("experiment=no_norm", "norm=layernorm,none", "init=xavier,fixup",
         "optimizer.lr=2e-3,8e-3", "lr=fixed"),
        "Confirmed at the high rate: with Xavier initialisation and no norms all five runs "
        "diverge, where LayerNorm trains and improves with the rate. At the low rate they end "
        "at a loss in the hundreds, far above that of guessing (5.6), because with embeddings "
        "of size one the residual stream is large from the start. Fixup without norms does not "
        "differ significantly from LayerNorm at the low rate, where a difference of 2.3 % would "
        "be seen 4 times in 5. At the high rate two of its five runs diverge, which does not "
        "show that it diverges more often (p 0.44), and the three others decide nothing. Fixup "
        "together with LayerNorm is worse than LayerNorm alone: it starts layers at zero for a "
        "problem that the norm has solved.",
    ),
    "norms": Claim(
        "Is RMSNorm as good as LayerNorm?",
        "Leaving out the mean costs nothing in quality (Zhang and Sennrich 2019). The placebo is "
        "LayerNorm again, with other initial weights.",
        ("experiment=norms", "norm=layernorm,rmsnorm", "placebo=true"),
        "No significant difference: neither RMSNorm nor the placebo differs from LayerNorm by "
        "more than other initial weights do; of RMSNorm, a difference of 2.5 % would be seen 4 "
        "times in 5. That does not prove equality, and five seeds cannot within 0.5 %: their "
        "noise allows 1.9 % for RMSNorm.",
    ),
    "activations": Claim(
        "ReLU, GELU or SwiGLU, with equal parameters?",
        "Gated activations improve on ungated ones of equal size (Shazeer 2020).",
        ("experiment=activations", "activation=relu,gelu,swiglu"),
        "No significant difference: one of 6.5 % for SwiGLU and of 3.0 % for GELU would be seen "
        "4 times in 5. SwiGLU is 2.6 % ahead of ReLU on average, GELU 0.7 %. Parameters are "
        "equal within 0.11 %. Each activation has its own learning rate, chosen from one run "
        "per rate: all three took 0.012, four times the configured one.",
    ),
    "positions": Claim(
        "How should a decoder encode positions?",
        "Rotary positions and linear biases improve on added ones (Su et al. 2021; Press et al. "
        "2022); a causal decoder can do without any (Kazemnejad et al. 2023).",
        ("experiment=positions", "position=rope,none,learned,sinusoidal,alibi"),
        "Confirmed within the training length: RoPE is better than each of the others, than "
        "ALiBi by 5 % of its loss, than no positions, sinusoidal and learned ones by 11 to 13 "
        "%. The others were not compared with each other: ALiBi has the next best mean, learned "
        "positions the worst. 200 steps are few to learn what causal attention provides by "
        "itself.",
    ),
    "smoothing": Claim(
        "Does label smoothing calibrate probabilities?",
        "It hurts perplexity, helps accuracy (Vaswani et al. 2017) and calibrates (Müller et al. "
        "2019).",
        ("experiment=smoothing", "loss.label_smoothing=0.0,0.1", "lr=fixed"),
        "The test loss falls by 3.2 %, contrary to the claim that perplexity suffers: these "
        "models overfit, and overconfidence is penalised. The mean calibration error falls from "
        "0.127 to 0.096 and the mean accuracy rises from 24.4 to 25.5 %, as claimed; neither "
        "was tested here: `--metric test/ece` would.",
        ("test/accuracy", "test/ece"),
    ),
    "epochs": Claim(
        "Does dropout help when little data is repeated often?",
        "Dropout prevents co-adaptation and so overfitting (Srivastava et al. 2014).",
        ("experiment=epochs", "residual.dropout=0.0,0.1,0.3", "lr=fixed"),
        "No significant difference in the loss: one of 8 % for a dropout of 0.1 and of 17 % for "
        "0.3 would be seen 4 times in 5, and both means are higher with dropout. After 48 "
        "passes over 400 snippets all three are so confident in wrong answers that the loss is "
        "three times that of guessing. The mean accuracy with 0.3 is 24 % instead of 21 %, "
        "where chance is one in eight; it was not tested. The loss of the last step is "
        "compared: with early stopping it is another question.",
        ("test/accuracy",),
    ),
    "inits": Claim(
        "Does the scale of initial weights matter?",
        "Weights drawn so that variances stay equal let deep networks train (Glorot and Bengio "
        "2010; He et al. 2015); scaling by depth helps residual ones (Radford et al. 2019).",
        ("experiment=inits", "init=xavier,kaiming,depth_scaled"),
        "Against the claim's order: He initialisation, the largest of the three, ends 4.2 % "
        "ahead of Xavier, with six layers and pre-norm, each with a learning rate of its own, "
        "chosen from one run of 50 steps per rate. Depth-scaled weights of 0.02 are behind on "
        "average and vary so much between seeds that only a difference of 15 % would be seen 4 "
        "times in 5.",
    ),
    "optimizers": Claim(
        "Can gradient descent train a transformer as well as Adam?",
        "Transformers need adaptive steps; gradient descent lags behind (Zhang et al. 2020).",
        ("experiment=optimizers", "optimizer=adam,sgd"),
        "Confirmed at the rates that the search found: gradient descent with momentum ends 10 % "
        "above Adam's loss, in all five seeds. The search ended before its best rate did, so "
        "that a higher one may do better: this shows that it lags here, not that it cannot be "
        "tuned further.",
    ),
}  # fmt: skip
