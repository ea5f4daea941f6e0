"""What was observed, over the API: registers, return headers, and the door for returns. It makes drafts only."""

from .registers import IndicatorViewSet, InstrumentViewSet, QuestionViewSet, RoundViewSet
from .returns import ReturnViewSet

__all__ = ["IndicatorViewSet", "InstrumentViewSet", "QuestionViewSet", "ReturnViewSet", "RoundViewSet"]
