"""What every model of a data file is: complete, and never changed after it was read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenData(BaseModel):
    """A part of a data file. A key that the model does not know is an error; so is setting a field."""

    model_config = ConfigDict(extra="forbid", frozen=True)
