"""PEFT's folders, written and read without PEFT."""
