"""What the commands of ``xc`` share, whichever room they stand in; ``cli`` puts them together."""
