"""The exercises of each lesson: lessonNN.py has EXERCISES, imported when one is asked for."""
