"""What every model of a data file is: complete, and never changed after it was read."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

GlobPattern = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
"""A name, or a pattern of names as fnmatch reads it. The time that fnmatch takes grows with the square of its brackets."""


class FrozenData(BaseModel):
    """A part of a data file. A key that the model does not know is an error; so is setting a field."""

    model_config = ConfigDict(extra="forbid", frozen=True)
