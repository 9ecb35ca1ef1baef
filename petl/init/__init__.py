"""`petl init`: look at a folder of sounds, choose settings, write a study."""
