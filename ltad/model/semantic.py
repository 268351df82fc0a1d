"""The semantic module: is a patch nearer to "a normal s_c" or to "an abnormal s_c"?

Source: Ho et al. 2024, Figure 3: patches are projected into the joint space of image and text and compared with the
class's two prompts.
"""

from torch import Tensor, nn
from torch.nn.functional import normalize


class SemanticModule(nn.Module):
    """Project patches into the joint space and compare them with the normal and the abnormal prompt."""

    def __init__(self, feature_dim: int, joint_dim: int, *, hidden: int, temperature: float) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(feature_dim, hidden), nn.GELU(), nn.Linear(hidden, joint_dim))
        self.temperature = temperature

    def forward(self, patch_features: Tensor, text_features: Tensor) -> Tensor:
        """Score patches (B, N, D) against [normal, abnormal] text features (B, 2, J).

        Returns the logit of "abnormal", (B, N); the probability is its sigmoid. Higher = more anomalous.
        """
        projected = normalize(self.project(patch_features), dim=-1)  # (B, N, J)
        towards_abnormal = text_features[:, 1] - text_features[:, 0]  # (B, J)
        return (projected @ towards_abnormal[..., None]).squeeze(-1) / self.temperature
