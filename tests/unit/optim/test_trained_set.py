"""What a run trains, as all parts of the package are told."""

from lightning_transformer.models.gradient_clipping import GradientClipping
from lightning_transformer.models.size import measure
from lightning_transformer.optim.freeze.embeddings import embeddings
from lightning_transformer.optim.param_groups import param_groups
from lightning_transformer.optim.trained_set import frozen_names, trained_parameters
from tests.conftest import tiny


def test_a_shared_weight_counts_once_and_has_all_of_its_names() -> None:
    model = tiny("tie_embeddings=true")
    embeddings(model)
    assert frozen_names(model) == ["embedding.weight", "task.head.weight"]
    n_all, n_trained = len(list(model.parameters())), len(trained_parameters(model))
    assert n_trained == n_all - 1


def test_optimizer_clipping_and_sizes_agree() -> None:
    model = tiny("tie_embeddings=false")
    embeddings(model)
    trained = {id(parameter) for parameter in trained_parameters(model)}
    groups = param_groups(model, 0.1)
    assert {id(p) for group in groups for p in group["params"]} == trained
    clipping = GradientClipping()
    for parameter in model.parameters():
        parameter.grad = parameter.detach().clone()
    clipping.norm(model)
    assert {id(parameter) for parameter in clipping._parameters} == trained
    n_trained = sum(parameter.numel() for parameter in trained_parameters(model))
    size = measure(model, 8)
    assert size.n_params - size.n_frozen == n_trained
