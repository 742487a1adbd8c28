"""A motion that Toybox's model never saw, taught by a LoRA from sixteen clips."""
