import pytest
import torch

from torchref_kinetic_plugin.errors import InputError
from torchref_kinetic_plugin.occupancies import occupancy_unrestrained


def test_softmax_over_states():
    m = occupancy_unrestrained(3, [0.0, 1.0])
    torch.testing.assert_close(m(), torch.full((3, 2), 1 / 3, dtype=torch.float64))
    with torch.no_grad():
        m.logits[0, 0] = 2.0
    assert m()[0, 0].item() == pytest.approx(torch.softmax(torch.tensor([2.0, 0, 0]), 0)[0].item(), rel=1e-6)
    torch.testing.assert_close(m().sum(0), torch.ones(2, dtype=torch.float64))


def test_every_number_is_free():
    m = occupancy_unrestrained(2, [0.0, 1.0])
    target = torch.tensor([[0.9, 0.2], [0.1, 0.8]], dtype=torch.float64)
    optimizer = torch.optim.LBFGS([p for g in m.get_parameter_groups() for p in g["params"]], max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = ((m() - target) ** 2).sum() + m.get_regularization_loss()
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    torch.testing.assert_close(m(), target, atol=1e-4, rtol=0)


@pytest.mark.parametrize("nstates", [0, -1, 2.0, True, "3", None])
def test_number_of_states_is_checked(nstates):
    with pytest.raises(InputError, match="it must be a whole number above 0"):
        occupancy_unrestrained(nstates, [0.0])


def test_states_round_trip(tmp_path):
    m = occupancy_unrestrained(2, [0.0, 1.0])
    with torch.no_grad():
        m.logits.normal_()
    torch.save(m.state_dict(), tmp_path / "state")
    other = occupancy_unrestrained(2, [0.0, 1.0])
    other.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert torch.equal(m(), other())


def test_names_must_be_as_many_as_structures():
    with pytest.raises(InputError, match="2 names for 3 structures"):
        occupancy_unrestrained(3, [0.0], structure_names=["a", "b"])
