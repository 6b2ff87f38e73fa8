"""Labelled worlds: inputs made case by case together with what must come of them. Nothing of the engine belongs here.

A case knows what it does to the three sides and states from the contract alone what every run has to say about it. The
answer key is the sum of those statements; only `scoring` ever starts the engine.
"""
