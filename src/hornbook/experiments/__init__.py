"""What trains several models: ladder, learning rate finder, mixture."""
