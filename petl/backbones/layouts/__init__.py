"""Checkpoints of other programs that hold an AST: one module for each layout of their tensors.

A layout has NAME, what a message calls it; MARK, how names begin that only this layout has; and
`translate`, which gives the tensors the library's names.
"""
