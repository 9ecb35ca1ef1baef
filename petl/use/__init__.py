"""What one does with a trained run: evaluate it, ask it about sound files, hand it to others."""
