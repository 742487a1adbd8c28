"""The paper's comparisons at toy size: what each part of the method is worth at equal training."""
