"""Best and second best in colour, and never in colour alone: best is bold, second is underlined."""

COLORS = {
    "paper": ("1B7837", "B2182B"),  # green and red, as the paper has them
    "safe": ("0060A8", "B85000"),  # blue and orange, for eyes that do not tell red from green
    "grey": ("000000", "404040"),
}
