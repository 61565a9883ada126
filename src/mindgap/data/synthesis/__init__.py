"""Dermoscopy-like images whose skin tone, lesion and label are known because they were chosen.

``population`` decides who is shown, ``morphology`` how the label looks, ``lesion`` and ``scene`` paint it.
"""
