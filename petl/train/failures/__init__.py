"""Why training stops before its end, and how a run finds out: kinds, values not finite, memory."""
