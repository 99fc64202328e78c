"""The claims: question, source, command, and what the numbers say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Base:
    """A run that claims start from, trained once: its name, and what is typed."""

    name: str
    typed: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Where it is, from the root of the repository."""
        return f"outputs/runs/claim_base_{self.name}"


@dataclass(frozen=True)
class Claim:
    """One comparison.

    metrics: shown besides the one that is compared. base: the run that its runs start from.
    metric: that is compared, where it is not the loss of the test.
    """

    question: str
    claim: str
    typed: tuple[str, ...]
    reading: str
    metrics: tuple[str, ...] = ()
    base: Base | None = None
    metric: str | None = None


# Half of the sums are right: there is something left to learn, and something to learn from.
SUMS = Base("sums", ("experiment=sums", "trainer.max_steps=140"))

CLAIMS = {
    "order": Claim(
        "Does an encoder need position information?",
        "Attention without positions sees a set, not a sequence (Vaswani et al. 2017).",
        ("experiment=order", "position=rope,sinusoidal,learned,alibi,none", "lr=fixed", "seeds=5"),
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
         "model.n_layers=6", "optimizer.lr=3e-3", "trainer.max_steps=400", "lr=fixed", "seeds=5"),
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
         "optimizer.lr=2e-3,8e-3", "lr=fixed", "seeds=5"),
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
        "No significant difference after 20 seeds, as many as the default allows: neither "
        "RMSNorm nor the placebo differs from LayerNorm; of RMSNorm, a difference of 1.6 % would "
        "be called one 4 times in 5. That does not prove equality, which these runs could show "
        "within 1.1 % and not within the margin of 0.5 %. Most of the error is that of the seeds, "
        "because the chosen rates are high ones, at which runs drift apart.",
    ),
    "activations": Claim(
        "ReLU, GELU or SwiGLU, with equal parameters?",
        "Gated activations improve on ungated ones of equal size (Shazeer 2020).",
        ("experiment=activations", "activation=relu,gelu,swiglu"),
        "Confirmed: SwiGLU ends 4.1 % below ReLU, which was settled after 7 seeds, and GELU 1.1 % "
        "below, settled after 15. SwiGLU and GELU were not compared with each other. Parameters "
        "are equal within 0.11 %. Each activation has its own learning rate, from 0.0065 to "
        "0.0072; five seeds at rates of 0.012, in an earlier edition of this page, settled "
        "neither.",
    ),
    "ladder_activations": Claim(
        "Does the advantage of SwiGLU grow with the size of the model?",
        "Gated activations improve on ungated ones of equal size (Shazeer 2020), in models of "
        "hundreds of millions of parameters.",
        ("experiment=activations", "activation=relu,gelu,swiglu", "ladder=3",
         "tokens_per_param=5"),
        "Confirmed within these sizes: the lead of SwiGLU over ReLU grows by 2.2 points per decade "
        "of compute, from 0.7 % with 21 thousand parameters to 4.1 % with 116 thousand. Whether "
        "that of GELU grows is not resolved. A compute-equivalent gain is not known: the two "
        "smaller models have one layer, and the three sizes do not lie on one curve. With five "
        "tokens per parameter these are a quarter of the tokens that large models are given.",
    ),
    "positions": Claim(
        "How should a decoder encode positions?",
        "Rotary positions and linear biases improve on added ones (Su et al. 2021; Press et al. "
        "2022); a causal decoder can do without any (Kazemnejad et al. 2023).",
        ("experiment=positions", "position=rope,none,learned,sinusoidal,alibi", "seeds=5"),
        "Confirmed within the training length: RoPE is better than each of the others, than "
        "ALiBi by 5 % of its loss, than no positions, sinusoidal and learned ones by 11 to 13 "
        "%. The others were not compared with each other: ALiBi has the next best mean, learned "
        "positions the worst. 200 steps are few to learn what causal attention provides by "
        "itself.",
    ),
    "ladder_positions": Claim(
        "Does the advantage of RoPE hold as the model grows?",
        "Rotary positions and linear biases improve on added ones (Su et al. 2021; Press et al. "
        "2022), in models of hundreds of millions of parameters.",
        ("experiment=positions", "position=none,learned,rope,alibi", "ladder=3",
         "tokens_per_param=5"),
        "Confirmed within these sizes: the lead of RoPE over no positions grows from 4 % with 21 "
        "thousand parameters to 32 % with 116 thousand, and that of ALiBi from 1 to 26 %. Learned "
        "positions are behind no positions at the smallest size and ahead at the largest. The "
        "size is not all that grows: the two smaller models have one layer and the largest has "
        "two, which is where attention to the place before can be used by a further layer. With "
        "five tokens per parameter these are a quarter of the tokens that large models are given.",
    ),
    "smoothing": Claim(
        "Does label smoothing calibrate probabilities?",
        "It hurts perplexity, helps accuracy (Vaswani et al. 2017) and calibrates (Müller et al. "
        "2019).",
        ("experiment=smoothing", "loss.label_smoothing=0.0,0.1", "lr=fixed", "seeds=5"),
        "The test loss falls by 3.2 %, contrary to the claim that perplexity suffers: these "
        "models overfit, and overconfidence is penalised. The mean calibration error falls from "
        "0.127 to 0.096 and the mean accuracy rises from 24.4 to 25.5 %, as claimed; neither "
        "was tested here: `--metric test/ece` would.",
        ("test/accuracy", "test/ece"),
    ),
    "epochs": Claim(
        "Does dropout help when little data is repeated often?",
        "Dropout prevents co-adaptation and so overfitting (Srivastava et al. 2014).",
        ("experiment=epochs", "residual.dropout=0.0,0.1,0.3", "lr=fixed", "seeds=5"),
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
        ("experiment=inits", "init=xavier,kaiming,depth_scaled", "seeds=5"),
        "Not resolved with five seeds, six layers and pre-norm, each with a learning rate of its "
        "own: the mean loss of He initialisation, the largest of the three, is 3.4 % below "
        "Xavier's, and that of depth-scaled weights of 0.02 is 5.2 % above. Differences of 6.8 and "
        "9.7 % would be seen 4 times in 5. Rates screened with one seed, whose choice was not "
        "counted, once showed He initialisation ahead by 4.2 %.",
    ),
    "optimizers": Claim(
        "Can gradient descent train a transformer as well as Adam?",
        "Transformers need adaptive steps; gradient descent lags behind (Zhang et al. 2020).",
        ("experiment=optimizers", "optimizer=adam,sgd", "seeds=5"),
        "Confirmed at the rates that the search found: gradient descent with momentum ends 13 % "
        "above Adam's loss, in all five seeds. The search ended before its best rate did, so "
        "that a higher one may do better: this shows that it lags here, not that it cannot be "
        "tuned further.",
    ),
    "preferences": Claim(
        "Is a model that prefers the better answer a better model?",
        "Optimising the preference between two answers improves the answers (Rafailov et al. 2023, "
        "DPO); the control learns the better answer alone, as supervised fine-tuning does. Pairs "
        "are a right and a wrong one among eight answers of the start model, and the checkpoint is "
        "chosen by preference accuracy.",
        (f"init_from={SUMS.folder}", "task=preference", "data=sums", "data.n_train=1500",
         "data.batch_size=32", "preference=chosen,dpo", "optimizer=adamw", "optimizer.lr=1e-4",
         "trainer.max_steps=150", "trainer.val_every=50", "trainer.monitor=val/accuracy",
         "lr=fixed", "seeds=5"),
        "Not with DPO at this rate: it ends 6.4 points below the control, because its best "
        "checkpoint by preference accuracy is the start, in all five seeds. By the last step the "
        "mean margin between better and worse answers has risen from 1.3 to 1.6, as the loss wants "
        "it, but on pairs of the validation the preference accuracy has fallen (from 0.86 .. 0.89 "
        "to 0.84 .. 0.85), and so has the share of right answers (from 0.53 to 0.35 .. 0.43). The "
        "control, which never sees a wrong answer, gains in both. Accuracy on held-out pairs does "
        "tell quality here; the margin does not. Both variants have one learning rate, 1e-4, and "
        "beta is 0.1: a lower rate or a larger beta may serve DPO better.",
        ("test/accuracy", "test/margin", "test/probability"),
        SUMS,
        "test/exact_match",
    ),
}  # fmt: skip
