"""What the Open Inference Protocol's two ways in share."""

from dataclasses import dataclass

from serving.access.authenticator import Authenticator
from serving.api.image_budget import ImageBudget
from serving.api.v2_infer import Detects
from serving.api.v2_models import Models
from serving.metrics.gateway.metrics import Metrics
from serving.store.values import ApiKey, Scope


@dataclass(frozen=True)
class V2:
    """The parts that both REST and gRPC stand on.

    Attributes:
        gateway: Answers.
        models: The routes.
        authenticator: Checks keys; health asks for none.
        metrics: Counts answers.
        budget: Of the gateway's images.
    """

    gateway: Detects
    models: Models
    authenticator: Authenticator
    metrics: Metrics
    budget: ImageBudget

    async def key_of(self, key_text: str | None) -> ApiKey:
        """Return a caller's key.

        Raises:
            Unauthenticated: It is not a good one.
        """
        return await self.authenticator.authenticate(key_text, Scope.DETECT)
