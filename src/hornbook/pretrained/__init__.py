"""What training may begin from: a run, and the directories and files of other programs."""
