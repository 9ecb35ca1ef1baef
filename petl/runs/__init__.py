"""What a run leaves behind: its folder, its result, its claim. No torch."""
